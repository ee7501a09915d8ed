"""How the next attempt of a run begins: from which checkpoints, and why it is made.

`run.next` keeps what a person chose until an attempt is made of it, in that attempt's transaction; a run that is
queued without it goes on by itself. The best checkpoint is the newest of the latest attempt. An attempt that has
none yet gives way to the one it went on from, whose checkpoints count up to the step it was left at, and so on;
what was trained beyond such a step has been given up and is never taken up again.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.contract.checkpoints import ResumePoint
from engine.control.store import artifacts, events
from engine.control.store.artifacts import CHECKPOINT, Stored
from engine.control.store.database import Transaction

Cause = Literal["first", "resume", "retry", "extend", "restart", "move", "memory"]


@dataclass(frozen=True)
class Wish:
    """What a person chose for the next attempt."""

    cause: Cause
    checkpoint: int | None = None
    """Its id; None: the best there is."""
    from_start: bool = False
    required: bool = False
    """Rather fail than start over."""


@dataclass(frozen=True)
class Beginning:
    """How an attempt begins."""

    cause: Cause
    resume: list[ResumePoint] = field(default_factory=list)
    required: bool = False

    def intention(self) -> dict[str, Any] | None:
        """What the attempt's row says until the worker has spoken."""
        if not self.resume:
            return None
        return {**self.resume[0].model_dump(), "intended": True, "required": self.required}


def keep(transaction: Transaction, run_id: int, wish: Wish | None) -> None:
    """Write down how the next attempt is to begin."""
    text = events.dump(wish.__dict__) if wish else None
    transaction.execute("UPDATE run SET next = ? WHERE id = ?", (text, run_id))


def wished(row: sqlite3.Row) -> Wish | None:
    """What a run's row says about it."""
    return Wish(**json.loads(row["next"])) if row["next"] else None


def take(transaction: Transaction, run_id: int) -> Beginning:
    """How the attempt that is being made begins; the wish is used up."""
    connection = transaction.connection
    wish = wished(connection.execute("SELECT next FROM run WHERE id = ?", (run_id,)).fetchone())
    keep(transaction, run_id, None)
    latest = connection.execute(
        "SELECT resumed_from FROM attempt WHERE run_id = ? ORDER BY n DESC LIMIT 1", (run_id,)
    ).fetchone()
    if latest is None:
        return Beginning("first")
    if wish is None:
        return _by_itself(connection, run_id, latest["resumed_from"])
    if wish.from_start:
        return Beginning(wish.cause)
    if wish.checkpoint is not None:
        chosen = artifacts.find(connection, run_id, wish.checkpoint)
        # One that went meanwhile is asked for all the same: the worker says so and starts nothing else.
        points = [_point(chosen)] if chosen else [ResumePoint(attempt=0, step=0, path="checkpoints/gone")]
        return Beginning(wish.cause, points, required=True)
    return Beginning(wish.cause, candidates(connection, run_id), wish.required)


def _by_itself(connection: sqlite3.Connection, run_id: int, latest: str | None) -> Beginning:
    """A retry; a choice that the last attempt did not live to carry out still holds."""
    meant = json.loads(latest) if latest else {}
    if meant.get("intended") and meant.get("required"):
        return Beginning("retry", [ResumePoint.model_validate(meant)], required=True)
    return Beginning("retry", candidates(connection, run_id))


def candidates(connection: sqlite3.Connection, run_id: int) -> list[ResumePoint]:
    """Checkpoints an attempt may go on from, the best first."""
    rows = connection.execute("SELECT n, resumed_from FROM attempt WHERE run_id = ?", (run_id,))
    origins = {row["n"]: json.loads(row["resumed_from"]) if row["resumed_from"] else None for row in rows}
    made: dict[int, list[Stored]] = {}
    for stored in artifacts.of_run(connection, run_id):
        if stored.kind == CHECKPOINT:
            made.setdefault(stored.attempt, []).append(stored)
    found: list[ResumePoint] = []
    attempt, limit = max(origins, default=0), float("inf")
    while attempt in origins:
        own = [one for one in made.get(attempt, []) if (one.step or 0) <= limit]
        found += [_point(one) for one in sorted(own, key=lambda one: (one.step or 0, one.id), reverse=True)]
        origin = origins.pop(attempt)
        if origin is None:
            break
        attempt, limit = origin["attempt"], min(limit, origin["step"])
    return found


def progressed(connection: sqlite3.Connection, attempt_id: int) -> bool:
    """Whether the attempt made a checkpoint beyond the one it began with."""
    row = connection.execute(
        "SELECT coalesce(json_extract(resumed_from, '$.step'), 0) AS start, "
        "(SELECT max(step) FROM artifact WHERE attempt_id = attempt.id AND kind = ?) AS saved "
        "FROM attempt WHERE id = ?",
        (CHECKPOINT, attempt_id),
    ).fetchone()
    return row is not None and row["saved"] is not None and row["saved"] > row["start"]


def _point(stored: Stored) -> ResumePoint:
    return ResumePoint(attempt=stored.attempt, step=stored.step or 0, path=stored.path)
