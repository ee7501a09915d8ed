"""Attempts, their members, and how far their journals have been taken in."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.contract.api import AttemptInfo
from engine.contract.states import EndReason
from engine.control.store import events
from engine.control.store.database import Transaction

DAY_S = 86_400.0
FOR_GOOD_DAYS = 36_500.0


@dataclass
class Position:
    """Up to where a journal was taken in: last line number, byte offset, next blob."""

    seq: int = 0
    bytes: int = 0
    ordinal: int = 0


def insert(
    transaction: Transaction,
    run_id: int,
    *,
    cause: str,
    lease: str,
    spec: str,
    at: float,
    resumed_from: dict[str, Any] | None = None,
) -> tuple[int, int]:
    """The next attempt of a run; its id and number. `resumed_from` is the checkpoint it is meant to go on from."""
    last = transaction.execute("SELECT coalesce(max(n), 0) FROM attempt WHERE run_id = ?", (run_id,)).fetchone()[0]
    row = transaction.execute(
        "INSERT INTO attempt(run_id, n, cause, lease, spec, started, resumed_from) VALUES (?,?,?,?,?,?,?)",
        (run_id, last + 1, cause, lease, spec, at, events.dump(resumed_from) if resumed_from else None),
    )
    transaction.execute("UPDATE run SET attempt = ? WHERE id = ?", (last + 1, run_id))
    return int(row.lastrowid or 0), int(last + 1)


def reopen(
    transaction: Transaction,
    run_id: int,
    *,
    cause: str,
    lease: str,
    spec: str,
    at: float,
    resumed_from: dict[str, Any] | None = None,
) -> tuple[int, int] | None:
    """The run's latest attempt once more, where no worker ever came of it; None: another one is to be made."""
    row = transaction.one(
        "SELECT id, n, cause, reason FROM attempt WHERE run_id = ? ORDER BY n DESC LIMIT 1", (run_id,)
    )
    if row is None or row["reason"] != EndReason.START_LOST:
        return None
    heard = transaction.one("SELECT max(ingested_seq) FROM member WHERE attempt_id = ?", (row["id"],))
    if heard is not None and heard[0]:
        return None
    why = row["cause"] if cause == "retry" else cause
    point = events.dump(resumed_from) if resumed_from else None
    transaction.execute(
        "UPDATE attempt SET cause = ?, lease = ?, spec = ?, started = ?, resumed_from = ?, ended = NULL, "
        "reason = NULL, stop_asked = NULL, stop_save = NULL, stop_verb = NULL, last_word = NULL, "
        "remains_until = NULL WHERE id = ?",
        (why, lease, spec, at, point, row["id"]),
    )
    transaction.execute("DELETE FROM member WHERE attempt_id = ?", (row["id"],))
    return int(row["id"]), int(row["n"])


def add_member(transaction: Transaction, attempt_id: int, executor: str, node_id: int, devices: list[str]) -> None:
    """Member 0; it has no handle until its process runs."""
    transaction.execute(
        "INSERT INTO member(attempt_id, rank, node_id, executor, handle, devices) VALUES (?, 0, ?, ?, '', ?)",
        (attempt_id, node_id, executor, json.dumps(devices)),
    )


def set_price(transaction: Transaction, attempt_id: int, price: float | None, currency: str) -> None:
    """What an hour of it costs."""
    transaction.execute("UPDATE attempt SET price = ?, currency = ? WHERE id = ?", (price, currency, attempt_id))


def keep_remains(transaction: Transaction, attempt_id: int, at: float, days: float | None) -> None:
    """From now on its container and volume are kept so many days; None: until somebody deletes them."""
    until = at + (FOR_GOOD_DAYS if days is None else days) * DAY_S
    transaction.execute("UPDATE attempt SET remains_until = ? WHERE id = ?", (until, attempt_id))


def set_handle(transaction: Transaction, attempt_id: int, handle: str) -> None:
    """How the executor finds the process again."""
    transaction.execute("UPDATE member SET handle = ? WHERE attempt_id = ? AND rank = 0", (handle, attempt_id))


_OPEN = (
    "SELECT attempt.*, run.uid, run.state, run.owner, member.handle, member.executor, node.name AS node FROM attempt "
    "JOIN run ON run.id = attempt.run_id JOIN member ON member.attempt_id = attempt.id AND member.rank = 0 "
    "LEFT JOIN node ON node.id = member.node_id "
    "WHERE attempt.ended IS NULL"
)


def open_attempts(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Attempts that have not ended, with run and member."""
    return connection.execute(f"{_OPEN} ORDER BY attempt.id").fetchall()


def open_attempt(connection: sqlite3.Connection, attempt_id: int) -> sqlite3.Row | None:
    """The same of one attempt."""
    row: sqlite3.Row | None = connection.execute(f"{_OPEN} AND attempt.id = ?", (attempt_id,)).fetchone()
    return row


def get(connection: sqlite3.Connection, attempt_id: int) -> sqlite3.Row | None:
    """An attempt's row."""
    row: sqlite3.Row | None = connection.execute("SELECT * FROM attempt WHERE id = ?", (attempt_id,)).fetchone()
    return row


def position(connection: sqlite3.Connection, attempt_id: int) -> Position:
    """Where taking in goes on."""
    member = connection.execute(
        "SELECT ingested_seq, ingested_bytes FROM member WHERE attempt_id = ? AND rank = 0", (attempt_id,)
    ).fetchone()
    last = connection.execute("SELECT coalesce(max(ordinal), 0) FROM tail WHERE attempt_id = ?", (attempt_id,))
    return Position(member[0], member[1], last.fetchone()[0] + 1)


def advance(transaction: Transaction, attempt_id: int, old: Position, new: Position, heard: float) -> bool:
    """Move the position, in the transaction of the data; False if somebody else moved it meanwhile."""
    moved = transaction.execute(
        "UPDATE member SET ingested_seq = ?, ingested_bytes = ?, heard = ? "
        "WHERE attempt_id = ? AND rank = 0 AND ingested_seq = ? AND ingested_bytes = ?",
        (new.seq, new.bytes, heard, attempt_id, old.seq, old.bytes),
    )
    return moved.rowcount == 1


def store_fact(transaction: Transaction, attempt_id: int, column: str, content: Any) -> None:
    """Something the worker said once: environment, plan, device_names, last_word."""
    if column not in ("environment", "plan", "device_names", "last_word"):
        raise ValueError(column)
    transaction.execute(f"UPDATE attempt SET {column} = ? WHERE id = ?", (events.dump(content), attempt_id))


def resumed(transaction: Transaction, attempt_id: int, attempt: int, step: int, path: str) -> None:
    """The worker says which checkpoint it goes on from."""
    body = {"attempt": attempt, "step": step, "path": path}
    transaction.execute("UPDATE attempt SET resumed_from = ? WHERE id = ?", (events.dump(body), attempt_id))


def first_step(transaction: Transaction, attempt_id: int, step: int) -> None:
    """The first step it reports. Who was meant to go on from a checkpoint and has not said so began anew."""
    transaction.execute(
        "UPDATE attempt SET first_step = ?, resumed_from = CASE WHEN json_extract(resumed_from, '$.intended') "
        "THEN NULL ELSE resumed_from END WHERE id = ? AND first_step IS NULL",
        (step, attempt_id),
    )


def is_over(connection: sqlite3.Connection, uid: str, number: int) -> bool:
    """Whether an attempt was closed; not one nobody knows."""
    row = connection.execute(
        "SELECT ended FROM attempt JOIN run ON run.id = run_id WHERE uid = ? AND n = ?", (uid, number)
    ).fetchone()
    return row is not None and row["ended"] is not None


def of_run(connection: sqlite3.Connection, run_id: int) -> list[AttemptInfo]:
    """All starts of a run, first first."""
    rows = connection.execute(
        "SELECT attempt.*, member.exit_code FROM attempt "
        "LEFT JOIN member ON member.attempt_id = attempt.id AND member.rank = 0 WHERE run_id = ? ORDER BY n",
        (run_id,),
    )
    return [
        AttemptInfo(
            n=row["n"],
            cause=row["cause"],
            started=row["started"],
            ended=row["ended"],
            reason=EndReason(row["reason"]) if row["reason"] else None,
            exit_code=row["exit_code"],
            environment=json.loads(row["environment"] or "{}"),
            plan=json.loads(row["plan"] or "{}"),
            first_step=row["first_step"],
            **_went_on_from(row["resumed_from"]),
        )
        for row in rows
    ]


def _went_on_from(stored: str | None) -> dict[str, int]:
    point = json.loads(stored) if stored else {"intended": True}
    if point.get("intended"):  # not before the worker has said so
        return {}
    return {"resumed_attempt": point["attempt"], "resumed_step": point["step"]}
