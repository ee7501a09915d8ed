"""What the database's own errors mean to a person: no room, damage, no right to write."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from engine.contract.errors import UserError

FULL, READ_ONLY, IO, CORRUPT, CANNOT_OPEN, BUSY, NO_DATABASE = 13, 8, 10, 11, 14, 5, 26
ROOM_BYTES = 1 << 20
"""With less than this left, a failed write means that the disk is full."""
LARGE_BYTES = 2 << 30
"""Larger histories are not looked through at a start: 170 MB (100,000 runs) take 0.3 s, this much would take 4 s."""


class HistoryFull(UserError):
    """Nothing was stored, for there is no room; nothing stored before is touched."""

    status = 507


class HistoryDown(UserError):
    """The history cannot be used at the moment."""

    status = 503


def explain(error: sqlite3.Error, path: Path) -> UserError | None:
    """The error as a person meets it; None for what can only be a bug of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == FULL or (code in (IO, CANNOT_OPEN) and _room(path) < ROOM_BYTES):
        return HistoryFull("history.disk_full", folder=str(path.parent))
    if code in (CORRUPT, NO_DATABASE):
        return HistoryDown("history.damaged", file=str(path), detail=str(error))
    if code == READ_ONLY:
        return HistoryDown("history.read_only", file=str(path))
    if code in (IO, CANNOT_OPEN, BUSY):
        return HistoryDown("history.down", file=str(path), detail=str(error))
    return None


def _room(path: Path) -> int:
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return ROOM_BYTES
    return found.f_bavail * found.f_frsize


def check_before_opening(path: Path, latest: int) -> None:
    """Refuse a file that is no history of ours or is damaged, before a byte of it changes."""
    if not path.exists():
        return
    if not path.is_file():
        raise UserError("history.not_a_file", file=str(path))
    if not os.access(path, os.R_OK | os.W_OK):
        raise HistoryDown("history.read_only", file=str(path))
    if path.stat().st_size == 0:
        _refuse_emptied(path)
        return
    after_a_crash = _size(path.with_name(path.name + "-wal")) > 0
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            _check_kind(connection, path, latest)
            if after_a_crash and path.stat().st_size < LARGE_BYTES:
                _check_pages(connection, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == CORRUPT:
            raise UserError("history.damaged", file=str(path), detail=str(error)) from error
        raise UserError("history.unusable", file=str(path), detail=str(error)) from error


def _check_kind(connection: sqlite3.Connection, path: Path, latest: int) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > latest:
        raise UserError("history.newer", file=str(path), theirs=version, ours=latest)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if (version == 0 and tables) or (version > 0 and "run" not in tables):
        raise UserError("history.foreign", file=str(path))


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise UserError("history.damaged", file=str(path), detail=" ".join(found.split()))


def _refuse_emptied(path: Path) -> None:
    """An empty file is a history that was never begun, unless runs lie beside it."""
    runs = path.with_name("runs")
    if runs.is_dir() and any(runs.iterdir()):
        raise UserError("history.emptied", file=str(path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
