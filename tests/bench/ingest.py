"""A million points into the history and back, against TensorBoard and trackio in the same run; prints a table."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine.contract.run_spec import RunSpec
from engine.control.jobs.ingest import Ingest, Source
from engine.control.store import attempts, metrics, runs
from engine.control.store.database import Database, Transaction
from engine.control.store.metrics import Block, Row
from tests.bench.peers import METRICS, curves, size, timed

STEPS = 125_000
SMALL_FLUSH = 10
BUCKETS = 2000
ENVIRONMENT = Path("bench/.peers")
PEERS = {"tensorboard": "TensorBoard", "trackio": "trackio"}
INSTALL_S = 300
SPEC = {
    "name": "bench",
    "job": {"kind": "train", "model": {"path": "demo", "hub": "bundled"}, "data": {"train": [{"path": "d"}]}},
}


class History:
    """A history with one run whose worker is at work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.database = Database(folder / "history.sqlite3")
        self.database.write_now(self._prepare)
        self.size = size(folder)

    def _prepare(self, transaction: Transaction) -> None:
        run_id = runs.insert(transaction, "u", RunSpec.model_validate(SPEC), "", 1)
        attempt_id, _ = attempts.insert(transaction, run_id, cause="first", lease="l", spec="{}", at=1)
        attempts.add_member(transaction, attempt_id, "bench", 1, [])

    def close(self) -> int:
        """The bytes that its points took."""
        self.database.close()
        return size(self.folder) - self.size


def through_journal(folder: Path, rows: list[dict[str, float]]) -> dict[str, Any]:
    """As a controller takes in what a worker wrote while it was away, and gives it to a client."""
    journal = folder.with_suffix(".jsonl")
    with journal.open("w") as file:
        for n, values in enumerate(rows, 1):
            plain = {name: value for name, value in values.items() if name != "epoch"}
            line = {"v": 1, "seq": n, "t": 1.79e9 + n * 0.2013, "kind": "step", "step": n, "epoch": values["epoch"]}
            file.write(json.dumps({**line, "values": plain}) + "\n")
    history = History(folder)

    def write() -> None:
        follower = Ingest(history.database, Source(journal, 1, "u", 1, 1, "l"))
        while follower.pull():
            pass

    written, _ = timed(write)
    return read_back(history, {"write": written})


def alone(folder: Path, rows: list[dict[str, float]], flush: int) -> dict[str, Any]:
    """Storing the points only, in flushes of so many lines."""
    history, names = History(folder), tuple(sorted(METRICS))
    every = [Row(n, n, 1.79e9 + n * 0.2013, values) for n, values in enumerate(rows, 1)]
    blocks = [Block("step", names, every[begin : begin + flush]) for begin in range(0, len(every), flush)]

    def write() -> None:
        ordinal = 1
        for block in blocks:
            ordinal = history.database.write_now(
                lambda t, block=block, ordinal=ordinal: metrics.append(t, 1, 1, ordinal, [block])
            )

    written, _ = timed(write)
    return read_back(history, {"write": written})


def read_back(history: History, found: dict[str, Any]) -> dict[str, Any]:
    """All points, and the view of a chart."""
    found["read"], curves_read = timed(lambda: history.database.read_now(lambda c: metrics.read(c, 1)))
    found["view"], views = timed(lambda: history.database.read_now(lambda c: metrics.view(c, 1, buckets=BUCKETS)))
    assert all(len(view.buckets) <= BUCKETS for view in views)
    return {**found, "points": sum(len(one.x) for one in curves_read), "bytes": history.close()}


def one_curve(folder: Path) -> dict[str, float]:
    """The view of a single curve with as many points as all the others together."""
    history = History(folder)
    count = STEPS * len(METRICS)
    rows = [Row(n, n, 1.79e9 + n * 0.2013, {"loss": float(n % 977)}) for n in range(1, count + 1)]
    history.database.write_now(lambda t: metrics.append(t, 1, 1, 1, [Block("step", ("loss",), rows)]))
    history.database.read_now(lambda c: metrics.view(c, 1, buckets=1))
    took, _ = timed(lambda: history.database.read_now(lambda c: metrics.view(c, 1, buckets=BUCKETS)))
    history.close()
    return took


def peer(name: str, folder: Path) -> dict[str, Any] | None:
    """What another tracker took; None if it cannot be had here."""
    python = ENVIRONMENT / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True, capture_output=True)
        install = [str(python), "-m", "pip", "install", "-q", name]
        known = subprocess.run([str(python), "-c", f"import {name}"], capture_output=True)
        if known.returncode:
            subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError):
        return None
    folder.mkdir()
    command = [str(python), "tests/bench/peers.py", name, str(folder), str(STEPS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row(title: str, found: dict[str, Any] | None, ours: dict[str, Any]) -> str:
    """A line of the table, as multiples of the journal's way."""
    if found is None:
        return f"| {title} | not installed | | | | | |"
    parts = [title, f"{found['points']:,}"]
    for what in ("write", "read"):
        per, base = found[what]["cpu"] / found["points"], ours[what]["cpu"] / ours["points"]
        parts += [f"{found[what]['cpu']:.2f} ({found[what]['s']:.2f})", f"{per / base:.2f}"]
    return "| " + " | ".join([*parts, f"{found['bytes'] / found['points']:.1f}"]) + " |"


def main() -> None:
    """The table."""
    rows = list(curves(STEPS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone(folder / "warm", rows[:2000], 100)  # imports
        ours = through_journal(folder / "journal", rows)
        large = alone(folder / "alone", rows, 4000)
        small = alone(folder / "small", rows[: STEPS // 10], SMALL_FLUSH)
        others = {title: peer(module, folder / module) for module, title in PEERS.items()}
        single = one_curve(folder / "single")
    print("Processor seconds (seconds by the clock); ratios are of processor time per point to the first line's.\n")
    print("| what | points | write, s | ratio | read back, s | ratio | bytes a point |\n|---|---|---|---|---|---|---|")
    print(row("journal → history", ours, ours))
    print(row("the same, points only", large, ours))
    print(row(f"points only, {SMALL_FLUSH} lines a flush", small, ours))
    for title, found in others.items():
        print(row(title, found, ours))
    every = f"{len(METRICS)} curves of {STEPS:,} points"
    print(f"\n{BUCKETS:,} buckets of each of {every}: {1000 * ours['view']['cpu']:.0f} ms;", end=" ")
    print(f"of one curve of {STEPS * len(METRICS):,} points: {1000 * single['cpu']:.0f} ms.")


if __name__ == "__main__":
    main()
