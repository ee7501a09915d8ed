"""The same curves through another tracker's writer and reader; run by the interpreter of the bench's own environment.

`python tests/bench/peers.py tensorboard|trackio FOLDER STEPS` prints what it took as JSON.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

METRICS = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "samples_per_second", "step_seconds",
           "data_wait_seconds", "epoch")  # fmt: skip


def curves(steps: int) -> Iterator[dict[str, float]]:
    """Values as a trainer gives them: single precision, noisy, some that hardly change."""
    chance = random.Random(1)
    for step in range(1, steps + 1):
        noise = chance.gauss(0, 1)
        found = (3 / step**0.3 + 0.05 * noise, 2e-4 * (1 - step / steps), abs(noise), 9000 + 300 * noise,
                 18 + 0.6 * noise, 0.2 + 0.01 * noise, 0.001, step / 1000)  # fmt: skip
        yield {name: struct.unpack("f", struct.pack("f", value))[0] for name, value in zip(METRICS, found, strict=True)}


def timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds by the clock and of all processor time of this process, and the answer."""
    clock, used = time.perf_counter(), time.process_time()
    answer = work()
    return {"s": time.perf_counter() - clock, "cpu": time.process_time() - used}, answer


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def tensorboard(folder: Path, rows: list[dict[str, float]]) -> dict[str, Any]:
    """One event a value, as SummaryWriter.add_scalar writes them."""
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    def write() -> None:
        writer = EventFileWriter(str(folder))
        for step, values in enumerate(rows, 1):
            for name, value in values.items():
                summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
                writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.close()

    def read() -> int:
        found = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
        found.Reload()
        return sum(len(found.Scalars(name)) for name in METRICS)

    written, _ = timed(write)
    took, points = timed(read)
    return {"write": written, "read": took, "points": points, "bytes": size(folder)}


def trackio(folder: Path, rows: list[dict[str, float]]) -> dict[str, Any]:
    """One log a step."""
    os.environ.update(TRACKIO_DIR=str(folder), HF_HUB_OFFLINE="1")
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    def write() -> None:
        run = trackio.init("bench", name="one", embed=False, auto_log_gpu=False, auto_log_cpu=False)
        for step, values in enumerate(rows, 1):
            run.log(values, step=step)
        trackio.finish()

    def read() -> int:
        found = SQLiteStorage.get_logs("bench", "one", max_points=None)
        return sum(name in row for row in found for name in METRICS)

    written, _ = timed(write)
    took, points = timed(read)
    return {"write": written, "read": took, "points": points, "bytes": size(folder)}


def main() -> None:
    """One of the two."""
    which, folder, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    rows = list(curves(steps))
    standard, sys.stdout = sys.stdout, sys.stderr
    found = {"tensorboard": tensorboard, "trackio": trackio}[which](folder, rows)
    print(json.dumps(found), file=standard)


if __name__ == "__main__":
    main()
