"""`python -m tests.matrix [PART…]`: trains each cell whose name has all the parts, and puts it into docs/matrix.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.matrix.cells import Cell, cells
from tests.matrix.train import STEPS, Found, look

TABLE = Path(__file__).parents[2] / "docs" / "matrix.md"
CHECKS = ("trained", "learned", "reloads", "resumes", "setting")
HEAD = f"""# Every stage with every tuner

Written by `make matrix`: the bundled model learns {STEPS} steps of the bundled rows with each of these, in fp32 on the
processor. *Learned*: its answers differ from the base model's. *Reloads*: transformers and peft read the result, and it
gives identical numbers (qlora: within the bf16 in which bitsandbytes multiplies while no gradients are asked for;
adalora and beginnings that split the base: within 1e-4, for their sums have other terms).
*Resumes*: from a checkpoint in the middle the losses and the weights at the end are the same, bit for bit. *Setting*:
another rank, or no init, changes what is trained (— : it has neither).

| stage | tuner | {" | ".join(CHECKS)} | first loss | last loss |
|---|---|{"---|" * len(CHECKS)}---|---|
"""


def begin_of(cell: Cell) -> str:
    """What a row of the table begins with."""
    return f"| {cell.stage} | {cell.variant} |"


def line(found: Found) -> str:
    """A row of the table."""
    said = [(found.checks[check] or "yes") if check in found.checks else "—" for check in CHECKS]
    if "ran" in found.checks:
        said[0] = found.checks["ran"].splitlines()[0][:120]
    return f"{begin_of(found.cell)} {' | '.join(said)} | {found.first:.4g} | {found.last:.4g} |"


def write(lines: dict[str, str]) -> None:
    """The table: what was trained now, and of the rest what it said before."""
    before = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    kept = {begin_of(cell): row for cell in cells() for row in before if row.startswith(begin_of(cell))}
    rows = [row for cell in cells() if (row := (kept | lines).get(begin_of(cell)))]
    TABLE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def main(parts: list[str]) -> int:
    """Train them, say each, and write them into the table."""
    wanted = [cell for cell in cells() if all(part in cell.name.split() for part in parts)]
    lines, broken = {}, 0
    for cell in wanted:
        with tempfile.TemporaryDirectory() as folder:
            found = look(cell, Path(folder))
        lines[begin_of(cell)] = line(found)
        broken += not found.holds
        print(f"{found.seconds:5.1f} s {lines[begin_of(cell)]}", flush=True)
        write(lines)
    print(f"{len(wanted)} cells, {broken} with something wrong")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
