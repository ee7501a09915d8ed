"""Ends a worker's process group, all of it and nothing else, also when its leader or its monitor has gone.

A worker leads a group of its own inside the session its monitor leads. While one member lives, the system gives the
numbers of group and session to nobody else; so a process that has both, and is not older than the worker, is one of
the worker's. Signals go through a pidfd that is opened before a process is looked at: its number cannot have passed
to another in between. A process that called `setsid` left the group on purpose and is not ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Any

from engine.control.executors import identity

PATIENCE_S = 5.0
_LINUX = sys.platform.startswith("linux")


Identity = dict[str, Any]


def end(worker: Identity | None, monitor: Identity | None) -> None:
    """SIGKILL to every member, until none is left; with no worker known yet, to the monitor and its whole session."""
    if worker is None and monitor is not None:
        tell(monitor, signal.SIGKILL)  # first: it starts nothing more then
    if not _LINUX:
        if identity.alive(worker) and worker is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(worker["pid"]), signal.SIGKILL)
        return
    deadline = time.monotonic() + PATIENCE_S  # a process in the middle of a system call may take its time
    while found := members(worker, monitor):
        for pid in found:
            _kill_member(pid, worker, monitor)
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)


def tell(process: Identity, number: int) -> bool:
    """A signal to this very process; False if it has gone."""
    if not hasattr(os, "pidfd_open"):
        if not identity.alive(process):
            return False
        os.kill(int(process["pid"]), number)
        return True
    try:
        handle = os.pidfd_open(int(process["pid"]))
    except OSError:
        return False
    try:
        if not identity.alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def members(worker: Identity | None, monitor: Identity | None) -> list[int]:
    """Processes of the worker's group that live."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_member(int(name), worker, monitor)]


def _is_member(pid: int, worker: Identity | None, monitor: Identity | None) -> bool:
    eldest, facts = worker or monitor, identity.stat(pid)
    if eldest is None or facts is None or facts[0] in identity.DEAD_STATES:
        return False
    if eldest.get("boot") != identity.boot_id() or int(facts[19]) < eldest.get("ticks", 0):
        return False
    if worker is not None and int(facts[2]) != worker["pid"]:
        return False
    leader = identity.stat(int(eldest["pid"]))
    if leader is not None and int(leader[19]) != eldest.get("ticks"):
        return False  # the number has passed to another
    return monitor is None or int(facts[3]) == monitor["pid"]


def _kill_member(pid: int, worker: Identity | None, monitor: Identity | None) -> None:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _is_member(pid, worker, monitor):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        os.close(handle)
