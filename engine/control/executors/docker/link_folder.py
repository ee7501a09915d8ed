"""Folders of links: sockets of tunnels, and keys for as long as a program insists on a file. Gone afterwards.

A controller that was killed leaves its folders and perhaps its tunnels; the next one sweeps them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.control.executors import identity

log = logging.getLogger(__name__)
PREFIX = "forge-link-"
OWNER = "owner.json"
YOUNG_S = 3600.0
"""A folder without an owner may be one that is just being made."""
LONGEST_SOCKET = 100


class LinkFolder:
    """One link's folder, of mode 0700."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place()))
        self._child: dict[str, Any] | None = None
        self._note()

    def own(self, pid: int) -> None:
        """This process belongs to the link: it is ended with what is left of it."""
        self._child = identity.of(pid)
        self._note()

    def private(self, name: str, content: str | bytes) -> Path:
        """A file that only its owner can read."""
        path = self.path / name
        path.unlink(missing_ok=True)
        raw = content.encode() if isinstance(content, str) else content
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
        return path

    def remove(self) -> None:
        """Nothing is left."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _note(self) -> None:
        aside = self.path / f".{OWNER}"
        aside.write_text(json.dumps({"owner": identity.of(os.getpid()), "child": self._child}))
        aside.replace(self.path / OWNER)


def sweep() -> int:
    """End and remove what links of controllers that are gone have left; how many there were."""
    gone = 0
    for folder in _place().glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            gone += _sweep(folder)
    return gone


def _sweep(folder: Path) -> bool:
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        return False
    try:
        said = json.loads((folder / OWNER).read_bytes())
        owner, child = said["owner"], said["child"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        if time.time() - facts.st_mtime < YOUNG_S:
            return False
        owner = child = None
    if identity.alive(owner):
        return False
    if identity.alive(child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child["pid"]), signal.SIGKILL)
        log.info("ended a tunnel that a controller had left, process %s", child["pid"])
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _place() -> Path:
    """A folder of this session that a restart empties, whose name leaves room for a socket's."""
    for named in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        place = Path(named)
        if named and place.is_dir() and os.access(place, os.W_OK) and len(named) < LONGEST_SOCKET - 40:
            return place
    return Path("/tmp")
