"""Uploads in the history: what was announced, how much of it is here for good, and who reads it."""

from __future__ import annotations

import sqlite3

from engine.contract.datasets import UploadView
from engine.control.store.database import Transaction
from engine.control.store.datasets import UNDONE

_READING = (
    "SELECT run.uid FROM run JOIN run_spec ON run_id = run.id WHERE run.kind = 'import' AND run.deleting = 0 "
    "AND json_extract(spec, '$.job.source.kind') = 'upload' AND json_extract(spec, '$.job.source.place') = ? "
)


def add(transaction: Transaction, upload: UploadView, sha256: str, at: float) -> None:
    """A new one, of which nothing is here."""
    transaction.execute(
        "INSERT INTO upload(uid, name, bytes, received, sha256, created, touched, complete) VALUES (?,?,?,0,?,?,?,0)",
        (upload.uid, upload.name, upload.bytes, sha256, at, at),
    )


def find(connection: sqlite3.Connection, uid: str) -> sqlite3.Row | None:
    """One of them."""
    row: sqlite3.Row | None = connection.execute("SELECT * FROM upload WHERE uid = ?", (uid,)).fetchone()
    return row


def alike(connection: sqlite3.Connection, name: str, size: int, sha256: str) -> sqlite3.Row | None:
    """One of the same file, to go on with."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM upload WHERE name = ? AND bytes = ? AND sha256 = ? AND sha256 != '' "
        "ORDER BY complete DESC, received DESC LIMIT 1",
        (name, size, sha256),
    ).fetchone()
    return row


def view(row: sqlite3.Row) -> UploadView:
    """As it is told."""
    return UploadView(
        uid=row["uid"], name=row["name"], bytes=row["bytes"], received=row["received"], complete=bool(row["complete"])
    )


def received(transaction: Transaction, uid: str, count: int, complete: bool, at: float) -> None:
    """So much of it is on the disk."""
    transaction.execute(
        "UPDATE upload SET received = ?, complete = ?, touched = ? WHERE uid = ?", (count, int(complete), at, uid)
    )


def outstanding(connection: sqlite3.Connection) -> int:
    """Bytes that were announced and have not come."""
    return int(connection.execute("SELECT coalesce(sum(bytes - received), 0) FROM upload").fetchone()[0])


def remove(transaction: Transaction, uid: str) -> None:
    """Forget it."""
    transaction.execute("DELETE FROM upload WHERE uid = ?", (uid,))


def reading(connection: sqlite3.Connection, uid: str) -> str | None:
    """An import that reads it, or will."""
    row = connection.execute(f"{_READING} AND run.state IN ({UNDONE}) LIMIT 1", (uid,)).fetchone()
    return str(row[0]) if row else None


def stale(connection: sqlite3.Connection, before: float, read_before: float) -> list[str]:
    """Those nobody touched for long, and sooner those whose rows are in the library; never one that is being read."""
    found = []
    for row in connection.execute("SELECT uid, touched FROM upload WHERE touched < ?", (max(before, read_before),)):
        done = connection.execute(f"{_READING} AND run.state = 'completed' LIMIT 1", (row["uid"],)).fetchone()
        if reading(connection, row["uid"]) is None and (row["touched"] < before or done is not None):
            found.append(row["uid"])
    return found


def listed(connection: sqlite3.Connection) -> set[str]:
    """All that are known."""
    return {row[0] for row in connection.execute("SELECT uid FROM upload")}
