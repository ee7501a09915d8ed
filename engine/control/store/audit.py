"""Who asked for what, as a chain: each row carries the hash of the one before, so that none can be changed unseen.

Rows that are taken off the end are the one thing a chain cannot show; `verify` gives the last hash to compare with
one that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from engine.control.store import events
from engine.control.store.database import Transaction

LOCAL_ROLE = "admin"
"""Whoever sits at the controller's own computer may do everything."""


@dataclass(frozen=True)
class Verdict:
    """How far the chain holds."""

    rows: int
    """Rows up to the first that does not fit, or all."""
    broken: int | None
    """The id of that row."""
    last: str
    """The hash, hex, of the last row that fits."""


def append(
    transaction: Transaction,
    *,
    at: float,
    actor: str,
    action: str,
    target: str | None = None,
    detail: str | None = None,
    role: str = LOCAL_ROLE,
) -> int:
    """One more row, in the transaction of what it tells of; returns its id."""
    last = transaction.one("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
    number, previous = (last["id"] + 1, last["hash"]) if last else (1, b"")
    fingerprint = _hash(previous, number, at, actor, role, action, target, detail)
    transaction.execute(
        "INSERT INTO audit(id, at, actor, role, action, target, detail, previous, hash) VALUES (?,?,?,?,?,?,?,?,?)",
        (number, at, actor, role, action, target, detail, previous, fingerprint),
    )
    return int(number)


def verify(connection: sqlite3.Connection) -> Verdict:
    """Follow the chain from its beginning."""
    previous, count = b"", 0
    for row in connection.execute("SELECT * FROM audit ORDER BY id"):
        content = (row["at"], row["actor"], row["role"], row["action"], row["target"], row["detail"])
        expected = _hash(previous, count + 1, *content)
        if (row["id"], row["previous"], row["hash"]) != (count + 1, previous, expected):
            return Verdict(count, row["id"], previous.hex())
        previous, count = expected, count + 1
    return Verdict(count, None, previous.hex())


def _hash(previous: bytes, number: int, at: float, *content: str | None) -> bytes:
    return hashlib.sha256(previous + events.dump([number, at, *content]).encode()).digest()
