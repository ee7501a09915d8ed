"""Who a process is: its id and when it started, so that a reused id is never taken for the old process.

Standard library only: the monitor uses it. On Linux the start time is also kept in ticks since boot, which a
change of the clock does not move; `started` is the same moment as psutil reports it.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

_LINUX = sys.platform.startswith("linux")
DEAD_STATES = "ZXx"
CLOCK_TOLERANCE_S = 2.0


def of(pid: int) -> dict[str, Any] | None:
    """The identity of a process that lives, or None."""
    if not _LINUX:
        return _from_psutil(pid)
    facts = stat(pid)
    if facts is None or facts[0] in DEAD_STATES:
        return None
    ticks = int(facts[19])
    started = ticks / os.sysconf("SC_CLK_TCK") + _boot_time()
    return {"pid": pid, "started": started, "ticks": ticks, "boot": boot_id()}


def alive(identity: dict[str, Any] | None) -> bool:
    """Whether this very process still runs (one that ended but was not waited for does not)."""
    if not identity:
        return False
    if _LINUX and "ticks" in identity:
        facts = stat(int(identity["pid"]))
        lives = facts is not None and facts[0] not in DEAD_STATES and int(facts[19]) == identity["ticks"]
        return lives and bool(identity.get("boot") == boot_id())
    now = of(int(identity["pid"]))
    if now is None:
        return False
    return abs(float(identity["started"]) - float(now["started"])) < CLOCK_TOLERANCE_S


def stopped(identity: dict[str, Any] | None) -> bool:
    """Whether this very process lives but is held still (SIGSTOP, a debugger)."""
    if not identity or not alive(identity):
        return False
    if _LINUX:
        fields = stat(int(identity["pid"]))
        return fields is not None and fields[0] in "Tt"
    import psutil

    try:
        return bool(psutil.Process(int(identity["pid"])).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return text.rpartition(")")[2].split()


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime"):
            return float(line.split()[1])
    raise RuntimeError("no btime in /proc/stat")


@functools.cache
def boot_id() -> str:
    """Which start of the system this is: the same as long as this process lives."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _from_psutil(pid: int) -> dict[str, Any] | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return {"pid": pid, "started": process.create_time()}
    except psutil.Error:
        return None
