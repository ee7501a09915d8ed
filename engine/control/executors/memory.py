"""How much memory the computer has left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

PRESSURE = Path("/proc/pressure/memory")
STALLED_PERCENT = 10.0


@dataclass(frozen=True)
class Memory:
    """A reading."""

    available: int
    stalled: bool = False
    """Processes wait for memory, as the system tells it, for a tenth of the time and more."""


def read_memory() -> Memory:
    """As it is now."""
    return Memory(psutil.virtual_memory().available, _stalled())


def _stalled() -> bool:
    """From `some avg10=1.23 …`; not every system tells."""
    try:
        first = PRESSURE.read_text().splitlines()[0]
        return float(first.split("avg10=")[1].split()[0]) >= STALLED_PERCENT
    except (OSError, IndexError, ValueError):
        return False


def held_by(pid: int) -> int:
    """Bytes a process holds alone, its share of what it holds with others included."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
