"""Importing rows: against `datasets.load_dataset` of the same file in the same call; the first rows of a large file.

200 MB unless BENCH_DATA_MB says otherwise (5,000 by hand). Each side runs in a process of its own, in turns; peak
memory is that process's, without what it had when its libraries were imported. load_dataset parses the file into
Arrow; an import converts and checks every row, fingerprints it, and syncs it to the disk.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MEGABYTES = int(os.environ.get("BENCH_DATA_MB", "200"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
WORDS = ("data model 学习 token the and 数据 answer question because 可以 number list of rows learn train " * 3).split()

COMMON = """
import resource, sys, time
from pathlib import Path
def megabytes():
    return int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]) / 1024
def measured(work):
    Path('/proc/self/clear_refs').write_text('5')
    before, wall, processor = megabytes(), time.perf_counter(), time.process_time()
    rows = work()
    print(rows, time.perf_counter() - wall, time.process_time() - processor, megabytes() - before)
source, target = Path(sys.argv[1]), Path(sys.argv[2])
"""
OURS = """
from engine.compute.data.feeds import FileFeed
from engine.compute.data.importing import Importer, order_key
from engine.compute.data.store.making import Making
from engine.contract.datasets import ImportJob
options = {} if CHECKS else {'near_duplicates': None, 'private': False, 'languages': False}
job = ImportJob.model_validate({'dataset': 'bench', 'source': {'place': str(source)}, 'checks': options})
def work():
    feed = FileFeed(source)
    making = Making(target / '.making', order_key(job, feed.identity))
    importer = Importer(job, feed, making, lambda: None)
    importer.run()
    making.finish(importer.manifest('bench', ''), target)
    return making.rows
measured(work)
"""
THEIRS = """
import datasets
datasets.disable_progress_bars()
def work():
    return datasets.load_dataset('json', data_files=str(source), cache_dir=str(target), split='train').num_rows
measured(work)
"""
FIRST = """
from engine.compute.data.formats import detect_format
from engine.compute.data.sources import read_records
from engine.compute.data.rows import Record
from itertools import islice
def work():
    rows = [found for found in islice(read_records(source), 100) if isinstance(found, Record)]
    assert detect_format(rows)
    return len(rows)
measured(work)
"""


@dataclass(frozen=True)
class Reading:
    """One run of one side."""

    rows: int
    wall: float
    processor: float
    megabytes: float


def write_rows(path: Path, megabytes: int) -> None:
    """A file of conversations of all lengths."""
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes << 20:
            for _ in range(500):
                said = [" ".join(chance.choices(WORDS, k=chance.randrange(5, 120))) for _ in range(4)]
                turns = [
                    {"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(said)
                ]
                file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")


def run(code: str, source: Path, folder: Path) -> Reading:
    """In a process of its own, with an empty folder."""
    with tempfile.TemporaryDirectory(dir=folder) as target:
        done = subprocess.run(
            [sys.executable, "-c", COMMON + code, str(source), target],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), "HF_HUB_OFFLINE": "1", "HF_HOME": target},
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    rows, *rest = done.stdout.split()
    return Reading(int(rows), *(float(value) for value in rest))


def main() -> None:
    """Take turns, print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "rows.jsonl"
        write_rows(source, MEGABYTES)
        size = source.stat().st_size / (1 << 20)
        sides = {
            "datasets.load_dataset": THEIRS,
            "import, plain checks": OURS.replace("CHECKS", "False"),
            "import, all checks": OURS.replace("CHECKS", "True"),
        }
        rounds = [{side: run(code, source, folder) for side, code in sides.items()} for _ in range(ROUNDS)]
        first = [run(FIRST, source, folder) for _ in range(3)]
    base = next(iter(sides))
    print(f"{size:.0f} MB of JSONL, {rounds[0][base].rows:,} conversations; medians of {ROUNDS}.\n")
    print("| side | MB a second | MB a CPU-second | speed to load_dataset, by CPU | peak memory, MB |")
    print("|---|---:|---:|---:|---:|")
    for side in sides:
        readings = [found[side] for found in rounds]
        wall, processor, memory = (
            statistics.median(getattr(reading, field) for reading in readings)
            for field in ("wall", "processor", "megabytes")
        )
        ratio = statistics.median(found[base].processor / found[side].processor for found in rounds)
        print(f"| {side} | {size / wall:.1f} | {size / processor:.1f} | {ratio:.2f} | {memory:.0f} |")
    seconds = statistics.median(reading.wall for reading in first)
    processor = statistics.median(reading.processor for reading in first)
    print(f"\nFirst 100 rows and their format: {seconds:.3f} s ({processor:.3f} s of processor time; goal < 1 s).")


if __name__ == "__main__":
    main()
