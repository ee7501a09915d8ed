"""What attempts told their losses depend on, and which run does which again."""

from __future__ import annotations

import json
import sqlite3

from engine.contract.reproduction import REPRODUCES, RunManifest
from engine.control.store.database import Transaction

KIND = "run"


def find(connection: sqlite3.Connection, run_id: int) -> tuple[int, RunManifest] | None:
    """The newest attempt that told it, with its number."""
    row = connection.execute(
        "SELECT attempt.n, event.body FROM event JOIN attempt ON attempt.id = event.attempt_id "
        "WHERE event.run_id = ? AND event.kind = 'manifest' ORDER BY event.cursor DESC LIMIT 1",
        (run_id,),
    ).fetchone()
    return None if row is None else (row["n"], RunManifest.model_validate(json.loads(row["body"])["manifest"]))


def reproduces(transaction: Transaction, run_id: int, original: str, name: str) -> None:
    """Note that a run does another again."""
    transaction.execute(
        "INSERT OR IGNORE INTO lineage(run_id, role, kind, hash, name) VALUES (?,?,?,?,?)",
        (run_id, REPRODUCES, KIND, original, name),
    )


def original(connection: sqlite3.Connection, run_id: int) -> str | None:
    """The id of the run that this one does again."""
    row = connection.execute(
        "SELECT hash FROM lineage WHERE run_id = ? AND role = ? AND kind = ?", (run_id, REPRODUCES, KIND)
    ).fetchone()
    return None if row is None else str(row[0])
