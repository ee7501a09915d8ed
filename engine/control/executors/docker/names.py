"""How containers and volumes of ours are named and labelled, and where a run's files lie in them."""

from __future__ import annotations

import hashlib
import secrets
import socket
import threading
import uuid
from functools import cache
from pathlib import Path, PurePosixPath

from engine.contract.durable import write_durably
from engine.contract.paths import AttemptFolder, Home

PREFIX = "io.loraforge."
MANAGED = f"{PREFIX}managed"
"""Stands on everything we made; what does not carry it is never touched."""
RUN = f"{PREFIX}run"
ATTEMPT = f"{PREFIX}attempt"
OWNER = f"{PREFIX}owner"
EXPIRES = f"{PREFIX}expires"
"""Days after its end, or `never`: labels cannot be changed, and the end is not known when they are set."""
CONTROLLER = f"{PREFIX}controller"
COMPUTER = f"{PREFIX}computer"
"""Of that controller: its name and a mark of the machine, for two may have the same name."""
LEASE = f"{PREFIX}lease"
KIND = f"{PREFIX}kind"
PRIVATE = f"{PREFIX}private"
DIGEST = f"{PREFIX}digest"
SESSION = f"{PREFIX}session"
"""Of a container that serves a copy: which executor made it, so that no other takes it for a leftover."""
PROCESS = secrets.token_hex(8)
"""Session of what this program makes and throws away by itself, whichever executor there is by then."""
NEVER = "never"

JOB = PurePosixPath("/job")
"""Where a run's volume is mounted; FORGE_HOME of the worker."""
INPUTS = PurePosixPath("/inputs")
USER = 10001
SMALL_BYTES = 1 << 20
PARENT = "engine.compute.worker.container"
ID_LENGTH = 12
MACHINE = Path("/etc/machine-id")
_guard = threading.Lock()


def controller_id(home: Home) -> str:
    """Which home a container belongs to: made once, the same over restarts and moves, another on each computer."""
    with _guard:
        known = known_id(home)
        if known is None:
            known = secrets.token_hex(ID_LENGTH // 2)
            write_durably(home.identity_file, known.encode())
        return known


def known_id(home: Home) -> str | None:
    """The id of a home, for whoever may not make one."""
    try:
        found = home.identity_file.read_text().strip()
    except OSError:
        return None
    return found or None


@cache
def computer() -> str:
    """This computer, as a label says it."""
    try:
        mark = MACHINE.read_text().strip()
    except OSError:
        mark = f"{uuid.getnode():x}"
    return f"{socket.gethostname()}/{hashlib.sha256(mark.encode()).hexdigest()[:ID_LENGTH]}"


def container_name(uid: str, attempt: int) -> str:
    """One attempt has one container."""
    return f"forge-{uid}-{attempt}"


def volume_name(uid: str) -> str:
    """One run has one volume, for all its attempts on a node."""
    return f"forge-run-{uid}"


def run_of(folder: AttemptFolder) -> tuple[str, int]:
    """Run and attempt number of an attempt's folder."""
    return folder.run.name, int(folder.root.name)


def there(path: Path, run: Path) -> PurePosixPath:
    """Where a file of the run's folder lies in the container."""
    return JOB / "runs" / run.name / PurePosixPath(path.relative_to(run).as_posix())


def days_text(days: float | None) -> str:
    """As the label has it."""
    return NEVER if days is None else f"{days:g}"


def days_of(text: str | None) -> float | None:
    """What the label says; None: kept for good. A label nobody can read keeps things too."""
    try:
        return None if text in (None, "", NEVER) else max(0.0, float(text or ""))
    except ValueError:
        return None
