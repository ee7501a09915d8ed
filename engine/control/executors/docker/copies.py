"""The controller's copies of a journal and a log that are written elsewhere: never ahead, never with a hole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.contract import logfile
from engine.contract.durable import sync_folder

ROUND = 256 << 10


class Closed(Exception):
    """Another may write this copy by now."""


class JournalCopy:
    """A prefix of the worker's journal, byte for byte: whole lines, numbered without gaps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.size, self.seq = _whole_lines(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.ftruncate(self._file, self.size)
        self._rest = b""
        self._unsynced = False
        self.closed = False
        """Nothing is taken any more, by whichever thread."""
        self.heard: list[dict[str, Any]] = []
        """Lines that somebody here must act on: results and checkpoints, since they were last taken."""
        self.over_at: float | None = None
        """When the worker's last word came."""

    def take(self, line: bytes, found: dict[str, Any]) -> bool:
        """A line that was heard; False if lines before it are missing. One that is here already is passed over."""
        seq = int(found["seq"])
        if seq <= self.seq:
            return True
        if seq != self.seq + 1:
            return False
        self._append(line + b"\n")
        self._note(seq, found)
        return True

    def begin_repair(self) -> int:
        """Where to read the file from."""
        self._rest = b""
        return self.size

    def repair(self, data: bytes, sure: bool = False) -> None:
        """What the file has from there on, in pieces; a torn last line waits for the next time.

        Unless whoever reads is sure of the place, what does not begin with the next line is not taken.
        """
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if not newline:
            return
        if not sure and (parsed(whole.split(b"\n", 1)[0]) or {}).get("seq") != self.seq + 1:
            self._rest = b""
            return
        self._append(whole + newline)
        for raw in whole.split(b"\n"):
            found = parsed(raw)
            if found is not None and isinstance(found.get("seq"), int):  # a bad line is whoever reads it's to judge
                self._note(found["seq"], found)

    def taken(self) -> list[dict[str, Any]]:
        """What was heard since the last time."""
        heard, self.heard = self.heard, []
        return heard

    def sync(self) -> None:
        """Make what was taken so far survive a power cut; nobody who takes waits for it."""
        unsynced, self._unsynced = self._unsynced, False
        if unsynced:
            os.fsync(self._file)

    def close(self) -> None:
        """Sync, and give the file back."""
        self.sync()
        os.close(self._file)
        sync_folder(self.path.parent)

    def _note(self, seq: int, found: dict[str, Any]) -> None:
        self.seq = seq
        if found.get("kind") in ("artifact", "checkpoint", "checkpoint_removed", "dataset"):
            self.heard.append(found)
        elif found.get("kind") == "ended":
            self.over_at = time.monotonic()

    def _append(self, data: bytes) -> None:
        """All of it or nothing: a disk that is full leaves the file as it was."""
        if self.closed:
            raise Closed(self.path)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self.size + written)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)
        self._unsynced = True


class LogCopy:
    """What the worker printed, by offset in the whole text; cut into pieces here as there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.size = logfile.size(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.closed = False

    def take(self, offset: int, data: bytes) -> bool:
        """Text that was heard; False if something before it is missing."""
        if offset > self.size:
            return False
        data = data[self.size - offset :]
        if data and self.closed:
            raise Closed(self.path)
        while data:
            written = os.write(self._file, data)
            self.size += written
            data = data[written:]
        logfile.rotate(self.path, (self._file,))
        return True

    def skip(self, offset: int) -> None:
        """The text up to there is gone at its origin: go on behind it, and say so in its place."""
        while self.size < offset:
            gap = min(ROUND, offset - self.size)
            mark = b"[lost]\n"
            self.take(self.size, (mark * (gap // len(mark) + 1))[:gap])

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def parsed(raw: bytes) -> dict[str, Any] | None:
    """A line as data; None if it is torn or no object."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def lines_of(path: Path, kinds: Iterable[str]) -> list[dict[str, Any]]:
    """Lines of a journal of these kinds."""
    wanted, found = set(kinds), list[dict[str, Any]]()
    try:
        with path.open("rb") as file:
            for raw in file:
                line = parsed(raw)
                if line is not None and line.get("kind") in wanted:
                    found.append(line)
    except FileNotFoundError:
        return []
    return found


def _whole_lines(path: Path) -> tuple[int, int]:
    """Up to where a file holds whole lines without gaps, and the last one's number."""
    size, seq = 0, 0
    try:
        with path.open("rb") as file:
            for raw in file:
                found = parsed(raw) if raw.endswith(b"\n") else None
                if found is None or found.get("seq") != seq + 1:
                    break
                size, seq = size + len(raw), seq + 1
    except FileNotFoundError:
        return 0, 0
    return size, seq
