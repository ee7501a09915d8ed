"""Stored events: states, notes, results. Their cursor is what a reconnecting client replays from."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from engine.contract.api import EventInfo
from engine.control.store.database import Transaction

INFO, WARNING, ERROR = 20, 30, 40
_PHASE = "json_extract(body, '$.phase')"
_SAME = "OVER (PARTITION BY attempt_id ORDER BY cursor)"
_TOLD = (
    f"SELECT cursor, {_PHASE} AS phase, lag({_PHASE}) {_SAME} AS before, lead({_PHASE}) {_SAME} AS after "
    "FROM event WHERE run_id = :run AND kind = 'phase'"
)
"""Each word of a run's phases, with the phases the words before and after it speak of."""
LEVELS = {"info": INFO, "warning": WARNING, "error": ERROR}


def add(
    transaction: Transaction,
    kind: str,
    body: dict[str, Any],
    *,
    at: float,
    run_id: int | None = None,
    attempt_id: int | None = None,
    seq: int | None = None,
    level: int = INFO,
    actor: str = "",
) -> int:
    """Store one event and return its cursor. `seq` is its line in the attempt's journal, if it came from there."""
    row = transaction.execute(
        "INSERT INTO event(at, run_id, attempt_id, rank, seq, kind, level, actor, body) VALUES (?,?,?,?,?,?,?,?,?)",
        (at, run_id, attempt_id, None if seq is None else 0, seq, kind, level, actor, dump(body)),
    )
    return int(row.lastrowid or 0)


def dump(content: Any) -> str:
    """Compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def load(text: str) -> Any:
    """What was dumped."""
    return json.loads(text)


def latest(connection: sqlite3.Connection) -> int:
    """The cursor of the newest event."""
    return int(connection.execute("SELECT coalesce(max(cursor), 0) FROM event").fetchone()[0])


def after(connection: sqlite3.Connection, cursor: int, until: int, limit: int) -> list[sqlite3.Row]:
    """Events after a cursor, oldest first, with the number of the attempt they belong to."""
    return connection.execute(
        "SELECT event.*, attempt.n AS attempt FROM event LEFT JOIN attempt ON attempt.id = event.attempt_id "
        "WHERE cursor > ? AND cursor <= ? ORDER BY cursor LIMIT ?",
        (cursor, until, limit),
    ).fetchall()


def of_run(connection: sqlite3.Connection, run_id: int, limit: int = 1000) -> list[EventInfo]:
    """A run's timeline, oldest first; sample answers have their own place.

    Of a phase that tells again and again how far it is, the first and the newest word are shown.
    """
    rows = connection.execute(
        f"WITH told AS MATERIALIZED ({_TOLD}) "
        "SELECT event.*, attempt.n AS attempt FROM event LEFT JOIN attempt ON attempt.id = event.attempt_id "
        "WHERE event.run_id = :run AND event.kind != 'sample' AND cursor NOT IN "
        "(SELECT cursor FROM told WHERE phase = before AND phase = after) ORDER BY cursor DESC LIMIT :most",
        {"run": run_id, "most": limit},
    ).fetchall()
    return [
        EventInfo(
            cursor=row["cursor"],
            at=row["at"],
            attempt=row["attempt"],
            kind=row["kind"],
            level=row["level"],
            actor=row["actor"] or "",
            body=json.loads(row["body"]),
        )
        for row in reversed(rows)
    ]
