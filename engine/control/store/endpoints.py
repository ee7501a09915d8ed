"""Where instances answer, and the keys of those who may ask them."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from engine.contract import events as lines
from engine.contract.held_adapters import AdapterChanges
from engine.contract.serving import ServeKey
from engine.control.store.database import Transaction


@dataclass(frozen=True)
class Told:
    """What a worker said when it began to answer."""

    attempt_id: int
    n: int
    lease: str
    handle: str
    node_id: int | None
    at: float
    host: str
    port: int
    models: list[str]


def add(transaction: Transaction, run_id: int, attempt_id: int, line: lines.Ready) -> None:
    """It answers, or its adapters are others now."""
    told = changes(transaction.connection, run_id)
    if line.change is not None:
        told = told.after(line.change)
    transaction.execute(
        "INSERT INTO endpoint(attempt_id, run_id, at, host, port, models, changes) VALUES (?,?,?,?,?,?,?) "
        "ON CONFLICT(attempt_id) DO UPDATE SET models = excluded.models, changes = excluded.changes",
        (attempt_id, run_id, line.t, line.host, line.port, json.dumps(line.models), told.model_dump_json()),
    )


def changes(connection: sqlite3.Connection, run_id: int) -> AdapterChanges:
    """What people made of its adapters, as the last attempt that answered had them."""
    row = connection.execute(
        "SELECT changes FROM endpoint WHERE run_id = ? ORDER BY attempt_id DESC LIMIT 1", (run_id,)
    ).fetchone()
    return AdapterChanges.model_validate_json(row["changes"]) if row is not None else AdapterChanges()


def current(connection: sqlite3.Connection, run_id: int) -> Told | None:
    """Of the attempt that is at work; None: there is none, or it does not answer yet."""
    row = connection.execute(
        "SELECT attempt.id, n, lease, coalesce(handle, '') AS handle, node_id, endpoint.at, endpoint.host, "
        "endpoint.port, models FROM endpoint JOIN attempt ON attempt.id = endpoint.attempt_id "
        "LEFT JOIN member ON member.attempt_id = attempt.id AND rank = 0 "
        "WHERE endpoint.run_id = ? AND attempt.ended IS NULL",
        (run_id,),
    ).fetchone()
    if row is None:
        return None
    return Told(
        row["id"], row["n"], row["lease"], row["handle"], row["node_id"], row["at"], row["host"], row["port"],
        json.loads(row["models"]),
    )  # fmt: skip


def answered(connection: sqlite3.Connection, attempt_id: int) -> bool:
    """The attempt came so far as to answer."""
    return connection.execute("SELECT 1 FROM endpoint WHERE attempt_id = ?", (attempt_id,)).fetchone() is not None


def is_over(connection: sqlite3.Connection, attempt_id: int) -> bool:
    """The attempt has ended, or is forgotten."""
    row = connection.execute("SELECT ended FROM attempt WHERE id = ?", (attempt_id,)).fetchone()
    return row is None or row["ended"] is not None


def ended_since(connection: sqlite3.Connection, run_id: int, moment: float) -> int:
    """Attempts of an instance that answered once and ended later than this."""
    return int(
        connection.execute(
            "SELECT count(*) FROM attempt JOIN endpoint ON attempt_id = attempt.id "
            "WHERE attempt.run_id = ? AND ended > ?",
            (run_id, moment),
        ).fetchone()[0]
    )


def keys(connection: sqlite3.Connection, run_id: int) -> list[ServeKey]:
    """All of a run, the oldest first."""
    rows = connection.execute("SELECT body FROM serve_key WHERE run_id = ? ORDER BY created, id", (run_id,))
    return [ServeKey.model_validate_json(row["body"]) for row in rows]


def put_key(transaction: Transaction, run_id: int, key: ServeKey) -> None:
    """A new one, or what has changed of one."""
    transaction.execute(
        "INSERT INTO serve_key(id, run_id, created, body) VALUES (?,?,?,?) "
        "ON CONFLICT(id) DO UPDATE SET body = excluded.body",
        (key.id, run_id, key.created, key.model_dump_json()),
    )


def remove_key(transaction: Transaction, run_id: int, key_id: str) -> bool:
    """Revoke it; False: there is none."""
    done = transaction.execute("DELETE FROM serve_key WHERE run_id = ? AND id = ?", (run_id, key_id))
    return bool(done.rowcount)
