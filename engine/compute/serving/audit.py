"""Who asked what and when: one line of JSON a request, refused ones included. Never a prompt, never a key."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from engine.contract.serving import KEY_PREFIX

NAME = "audit.jsonl"
MOST_BYTES = 16 << 20
KEPT = 5
DOTS = "•••"
log = logging.getLogger("forge.serving")
_SECRETS = re.compile(rf"{re.escape(KEY_PREFIX)}[A-Za-z0-9_-]{{8,}}|(?i:bearer)\s+\S+|\bsk-[A-Za-z0-9_-]{{8,}}")
SPOKEN = frozenset(("prompt", "messages", "content", "text", "input", "answer", "authorization", "key"))
"""Fields whose values are never written."""


def redacted(value: Any) -> Any:
    """The same without keys, and without what people and models said."""
    if isinstance(value, str):
        return _SECRETS.sub(DOTS, value)
    if isinstance(value, dict):
        return {name: DOTS if name in SPOKEN else redacted(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    return value


def tell(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """A line of the log, in JSON: what happened, and with which trace."""
    if log.isEnabledFor(level):
        log.log(level, "%s", json.dumps({"event": event, **redacted(fields)}, default=str))


class Audit:
    """The file of an instance; older pieces are audit.jsonl.1 and so on."""

    def __init__(self, folder: Path | None, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
        self._path = folder / NAME if folder is not None else None
        self._most, self._kept = most_bytes, kept
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._closed = False
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._opened(self._path)

    def add(self, **fields: Any) -> None:
        """One line; a disk that is full keeps nobody from being answered, the log says so."""
        if self._path is None:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": at, **redacted(fields)}).encode() + b"\n"
        with self._lock:
            if self._closed:
                return
            try:
                self._write(self._path, line)
            except OSError as error:
                tell("audit failed", logging.ERROR, trace=fields.get("trace"), detail=str(error))

    def close(self) -> None:
        """No more lines."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _write(self, path: Path, line: bytes) -> None:
        file = self._opened(path)
        if file.tell() + len(line) > self._most:
            file = self._rotated(path)
        begin = file.tell()
        written = file.write(line)
        if written < len(line):  # the disk had room for half of it
            file.truncate(begin)
            file.seek(begin)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _opened(self, path: Path) -> IO[bytes]:
        """Opened again where that failed the last time."""
        if self._file is None:
            self._file = path.open("ab", buffering=0)
        return self._file

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotated(self, path: Path) -> IO[bytes]:
        self._let_go()
        for number in range(self._kept - 1, 0, -1):
            older = path.with_name(f"{NAME}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{NAME}.{number + 1}"))
        path.replace(path.with_name(f"{NAME}.1"))
        return self._opened(path)
