"""How often the system ended a process of a control group because the group's memory was used up."""

from __future__ import annotations

from pathlib import Path

MEMORY = "memory"
PROC, MOUNTS = Path("/proc"), Path("/sys/fs/cgroup")


def oom_kills(pid: int | str = "self", proc: Path = PROC, mounts: Path = MOUNTS) -> int | None:
    """In the process's own group (version 2, or the memory group of version 1); None where nobody counts."""
    for file in _files(pid, proc, mounts):
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.strip().isdecimal():
                return int(count)
    return None


def _files(pid: int | str, proc: Path, mounts: Path) -> list[Path]:
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if MEMORY in controllers.split(","):
            found.insert(0, mounts / MEMORY / path.lstrip("/") / f"{MEMORY}.oom_control")
        elif not controllers:
            found.append(mounts / path.lstrip("/") / f"{MEMORY}.events")
    return found
