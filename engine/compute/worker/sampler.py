"""`python -m engine.compute.worker.sampler`: says every few seconds how busy its computer is, one JSON line a reading.

It runs in a small container of its own on nodes with Docker, beside the workers. Of a container's own limits it knows
nothing: /proc shows the whole computer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from typing import Any

from engine.compute.worker.telemetry import MachineSampler, NvidiaSampler, Reading
from engine.contract.processor import processor_name
from engine.contract.throttling import throttling

EVERY_S = 5.0
DISK = "/"
"""In a container the root lies where Docker keeps its data."""
OWN = ("cpu.process", "ram.process")
"""What the machine's sampler says of this process: nobody wants to know."""


class NodeGpus(NvidiaSampler):
    """All GPUs of the node; one that has fallen off says nothing any more, and its number stays free."""

    def __init__(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        super().__init__(range(pynvml.nvmlDeviceGetCount()))

    def read(self) -> Reading:
        """One reading, and why a GPU is slowed down."""
        reading = super().read()
        for number, handle in enumerate(self._handles):
            with contextlib.suppress(Exception):  # older drivers do not say
                bits = int(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
                reading |= {f"gpu{number}.{key}": value for key, value in throttling(bits).items()}
        return reading


def disk_reading(folder: str) -> Reading:
    """Room on the disk of a folder, in bytes."""
    usage = shutil.disk_usage(folder)
    return {"disk.used": float(usage.used), "disk.total": float(usage.total), "disk.free": float(usage.free)}


class Sampler:
    """What one reading is made of."""

    def __init__(self) -> None:
        self._machine = MachineSampler()
        self._gpus: NodeGpus | None = None
        with contextlib.suppress(Exception):  # no library, no driver, no GPU given
            self._gpus = NodeGpus()
        self.names = {"cpu": processor_name(), **(self._gpus.names if self._gpus else {})}

    def read(self) -> Reading:
        """The processor's share is the mean since the reading before."""
        reading = self._machine.read()
        for key in OWN:
            reading.pop(key, None)
        with contextlib.suppress(OSError):
            reading |= disk_reading(DISK)
        if self._gpus is not None:
            reading |= self._gpus.read()
        return reading


def main(arguments: list[str] | None = None) -> int:
    """Print readings until it is told to end, or nobody reads them any more."""
    parser = argparse.ArgumentParser(prog="engine.compute.worker.sampler")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between two readings")
    parser.add_argument("--count", type=int, default=0, help="end after so many; 0: never")
    options = parser.parse_args(arguments)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    sampler = Sampler()
    done.wait(0.2)  # a first reading of the processor needs an interval
    count = 0
    while not done.is_set():
        line: dict[str, Any] = {"t": time.time(), "values": sampler.read(), "names": sampler.names}
        try:
            sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            break
        count += 1
        if count == options.count:
            break
        done.wait(options.every)
    return 0


if __name__ == "__main__":
    sys.exit(main())
