"""Memory of a worker that learns from a version of 10,000 and of 1,000,000 rows: batches made for two minutes at most.

Anonymous memory is what the program holds; pages of the version's files are the system's to take back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/unit/compute"))
BATCHES, SIZE = 2_000, 8


def memory() -> dict[str, float]:
    """Megabytes of this process, of which kind."""
    text = Path("/proc/self/smaps_rollup").read_text()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines()[1:]}
    return {"rss": found["Rss"], "pss": found["Pss"], "anonymous": found["Anonymous"]}


def rows(count: int):
    """Conversations of some hundred characters."""
    for n in range(count):
        answer = f"it is {n} " * (5 + n % 40)
        yield {"messages": [{"role": "user", "content": f"say {n} please"}, {"role": "assistant", "content": answer}]}


def measure(folder: Path, batches: int = BATCHES) -> None:
    """Go through batches of a version in this process; prints figures."""
    import tiny

    from engine.compute.data.loading import load_source
    from engine.compute.data.pool import RowPool
    from engine.compute.data.split import split
    from engine.compute.data.templates import choose_template
    from engine.compute.data.tokenise import Tokeniser
    from engine.compute.training.batches import BatchLoader
    from engine.compute.worker.identity import data_fingerprint
    from engine.contract.data import DataConfig, DataSource

    tokeniser = Tokeniser(choose_template(tiny.make_tokenizer(), "auto"), 512)
    before = memory()
    began = time.process_time()
    source = DataSource(path=str(folder))
    kept, _ = split(load_source(source).content, 0.01, 1)
    pool = RowPool(tokeniser, [(kept, 1.0)], 1)
    pool.prepare(lambda done: None)
    data_fingerprint([(kept, 1.0)], DataConfig(train=[source]))
    ready, ready_s = memory(), time.process_time() - began
    loader, marks = BatchLoader(pool, pad=0, size=SIZE, seed=1, by_length=True), [0.0]
    until = time.monotonic() + 120
    for number, _ in enumerate(loader, 1):
        if number % 200 == 0:
            marks.append(memory()["anonymous"] - before["anonymous"])
        if number == batches or time.monotonic() > until:
            break
    after = memory()
    grown = {kind: round(after[kind] - before[kind], 1) for kind in after}
    figures = {
        "rows": len(pool),
        "ready_cpu_s": round(ready_s, 2),
        "ready_mb": round(ready["anonymous"] - before["anonymous"], 1),
        "batches": number,
        "grown_mb": grown,
        "highest_anonymous_mb": round(max(marks), 1),
        "kept_tokens": pool.kept_tokens,
    }
    print(json.dumps(figures))


def main() -> None:
    """Make versions, and measure each in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 1_000_000])
    asked = parser.parse_args()
    if asked.folder:
        measure(asked.folder, asked.batches)
        return
    from versions import make_version

    with tempfile.TemporaryDirectory() as place:
        for count in asked.rows:
            folder = make_version(Path(place) / str(count), rows(count), shard_rows=200_000)
            size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
            command = [sys.executable, "-m", "tests.bench.data_train", "--folder", str(folder)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            print(f"{count} rows, {size:.0f} MB: {done.stdout.strip() or done.stderr[-2000:]}", flush=True)


if __name__ == "__main__":
    main()
