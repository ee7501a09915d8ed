"""The worker's journal: one JSON object a line, numbered without gaps, durable each second and at every turn.

Where `FORGE_JOURNAL_FD` names a socket, each line goes there too once it stands in the file: a hint for whoever is
far from the file. A reader that is slow or gone costs the hint, never a line and never time.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engine.contract import events
from engine.contract.clock import now
from engine.contract.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
RESERVE_BYTES = 65_536
"""Kept aside in a file, so that a full disk still leaves room to say that the disk is full."""
MOST_WAITING = 500
"""Lines that wait for room on a full disk; the oldest go first, notes and figures before turns."""
LIVE_VARIABLE = "FORGE_JOURNAL_FD"
"""Number of a packet socket that was passed to this process: one line a packet."""
TEXT_FIELDS = ("prompt", "expected", "answer")
TURNS = (
    "started", "planned", "phase", "artifact", "checkpoint", "resumed", "rows", "manifest", "score", "ready", "ack",
    "ended",
)  # fmt: skip
"""Lines that are on the disk before the worker goes on."""

Told = tuple[type[BaseModel], float, dict[str, Any]]
"""A line, when it was told, and its content."""


class Journal:
    """Appends lines to one attempt's journal; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._reserve = path.with_name(f".{path.name}.reserve")
        self._size, self._seq = _last_good_line(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.ftruncate(self._file, self._size)
        self._unsynced = False
        self._live = _live_socket()
        self._waiting = deque[Told]()
        self.patient = False
        """While the disk is full, readings are left out and other lines wait for room; else a full disk is an error."""
        self._make_reserve()

    @property
    def seq(self) -> int:
        """Number of the last line written."""
        return self._seq

    def write(self, line: type[BaseModel], /, **content: object) -> int:
        """Append one line of the union in `engine.contract.events`; returns the number of the last one written."""
        with self._lock:
            if self.patient:
                self._write_when_room(line, content)
            else:
                self._put(line, now(), content)
            return self._seq

    def sync(self) -> None:
        """Make everything written so far survive a power cut; nobody who writes waits for it."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, False
        if unsynced and not self._synced():
            self._unsynced = True

    def close(self) -> None:
        """Sync and give the file back; the reserve goes too."""
        with self._lock:
            self._sync()
            os.close(self._file)
            self._reserve.unlink(missing_ok=True)

    def _put(self, line: type[BaseModel], at: float, content: dict[str, Any]) -> None:
        event = line(seq=self._seq + 1, t=at, **content)
        data = encode(event)
        self._append(data)
        self._seq += 1
        self._tell(data)
        if _is_turn(line):
            self._sync()

    def _write_when_room(self, line: type[BaseModel], content: dict[str, Any]) -> None:
        """In order, with what waited before it; readings of a time without room are left out."""
        self._waiting.append((line, now(), content))
        if len(self._waiting) > MOST_WAITING:
            self._waiting.remove(next((told for told in self._waiting if not _is_turn(told[0])), self._waiting[0]))
        try:
            self._flush()
        except UserError as error:
            if error.code != "worker.disk_full":
                raise
            if line is events.Device:
                self._waiting.pop()
            elif line is events.Ended:
                self._keep_newest(RESERVE_BYTES // 2)
                self._reserve.unlink(missing_ok=True)
                self._flush()

    def _flush(self) -> None:
        while self._waiting:
            try:
                self._put(*self._waiting[0])
            except ValueError:  # it is no line, and keeps no other from being told
                self._waiting.popleft()
                raise
            self._waiting.popleft()

    def _keep_newest(self, room: int) -> None:
        """Of what waits, as much as so many bytes hold, turns before all else; the last line always."""
        last, *earlier = reversed(self._waiting)
        kept = [last]
        for told in sorted(earlier, key=lambda told: not _is_turn(told[0])):
            line, at, content = told
            room -= len(encode(line(seq=self._seq + 1, t=at, **content)))
            if room < 0:
                break
            kept.append(told)
        chosen = set(map(id, kept))
        self._waiting = deque(told for told in self._waiting if id(told) in chosen)

    def _append(self, data: bytes) -> None:
        try:
            self._write_whole(data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            os.ftruncate(self._file, self._size)
            if not self.patient:
                self._reserve.unlink(missing_ok=True)  # room for the last line
            raise UserError("worker.disk_full", path=str(self.path.parent)) from error
        self._unsynced = True

    def _tell(self, data: bytes) -> None:
        """The same line as a packet: whole or not at all."""
        if self._live is None:
            return
        try:
            self._live.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # whoever reads will see the gap and look into the file
        except OSError:
            self._live.close()
            self._live = None

    def _write_whole(self, data: bytes) -> None:
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self._size + written)
        self._size += len(data)

    def _sync(self) -> None:
        if self._unsynced:
            self._unsynced = not self._synced()

    def _synced(self) -> bool:
        """Whether all is on the disk; a full one is an error unless lines may wait."""
        try:
            os.fsync(self._file)
        except OSError as error:
            if not self.patient or error.errno not in FULL:
                raise
            return False
        return True

    def _make_reserve(self) -> None:
        try:
            self._reserve.write_bytes(b"\0" * RESERVE_BYTES)
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            if error.errno in FULL:
                raise UserError("worker.disk_full", path=str(self.path.parent)) from error
            raise


def _is_turn(line: type[BaseModel]) -> bool:
    return line.model_fields["kind"].default in TURNS


def _live_socket() -> socket.socket | None:
    """The socket that the process's parent gave it, if it gave one."""
    named = os.environ.get(LIVE_VARIABLE, "")
    if not named.isdecimal():
        return None
    try:
        return socket.socket(fileno=os.dup(int(named)))
    except OSError:
        return None


def encode(event: BaseModel) -> bytes:
    """One line, its texts shortened until it is below the limit."""
    data = event.model_dump_json(exclude_none=True).encode() + b"\n"
    longest = 4_000
    while len(data) >= events.MAX_LINE_BYTES and longest > 50:
        event = event.model_copy(update={name: _short(value, longest) for name, value in _texts(event)})
        data = event.model_dump_json(exclude_none=True).encode() + b"\n"
        longest //= 2
    if len(data) >= events.MAX_LINE_BYTES:
        raise ValueError(f"a journal line of kind {getattr(event, 'kind', '?')} has {len(data)} bytes")
    return data


def _texts(event: BaseModel) -> list[tuple[str, object]]:
    """Everything in a line that may be long."""
    names = (*TEXT_FIELDS, "error", "params", "environment", "classes")
    return [(name, getattr(event, name)) for name in names if getattr(event, name, None)]


def _short(value: object, longest: int) -> object:
    """The same value with every text inside cut to `longest` characters, and lists to 50 entries."""
    if isinstance(value, str):
        return value if len(value) <= longest else value[: longest - 1] + "…"
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: _short(getattr(value, name), longest) for name in type(value).model_fields}
        )
    if isinstance(value, dict):
        return {key: _short(inner, longest) for key, inner in value.items()}
    if isinstance(value, list):
        return [_short(inner, longest) for inner in value[: max(1, longest // 80)]]
    return value


def _last_good_line(path: Path) -> tuple[int, int]:
    """Where the next line goes and the number before it; a torn last line is not counted."""
    if not path.exists():
        return 0, 0
    size, seq = 0, 0
    with path.open("rb") as file:
        for raw in file:
            number = _number_of(raw)
            if number != seq + 1:
                break
            size, seq = size + len(raw), number
    return size, seq


def _number_of(raw: bytes) -> int | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        return int(json.loads(raw)["seq"])
    except (ValueError, KeyError, TypeError):
        return None
