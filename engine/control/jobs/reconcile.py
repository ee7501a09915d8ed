"""After a restart: take up again what an earlier controller left, by process id, start time and lease."""

from __future__ import annotations

import logging
import sqlite3

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.contract.states import EndReason, RunState
from engine.control.executors.base import Executor
from engine.control.jobs import transitions
from engine.control.jobs.ending import PAUSE
from engine.control.jobs.ingest import Source
from engine.control.jobs.retention import prune_aside
from engine.control.store import attempts
from engine.control.store.database import Database

log = logging.getLogger(__name__)
ACTOR = "controller"


def source_of(home: Home, row: sqlite3.Row) -> Source:
    """Where an open attempt's journal is taken in from."""
    path = home.attempt(row["uid"], row["n"]).journal
    return Source(path, row["run_id"], row["uid"], row["id"], row["n"], row["lease"])


def adopt(home: Home, database: Database, executor: Executor) -> list[sqlite3.Row]:
    """Attempts that go on; those that never came to a start are ended. Waits: call it on a thread."""
    return [row for row in database.read_now(attempts.open_attempts) if take_up(home, database, executor, row)]


def take_up(home: Home, database: Database, executor: Executor, row: sqlite3.Row) -> bool:
    """Take up one attempt; False, and the run waits again, if it never came to a start."""
    folder = home.attempt(row["uid"], row["n"])
    if executor.adopt(folder, row["handle"], row["lease"]):
        log.info("run %s: attempt %d goes on", row["uid"], row["n"])
        return True
    log.warning("run %s: attempt %d never started", row["uid"], row["n"])
    prune_aside(folder)
    _requeue(database, row)
    return False


def _requeue(database: Database, row: sqlite3.Row) -> None:
    """A start that was lost: nothing has happened yet, so the run waits again, unless a person wished otherwise."""
    to, reason = RunState.QUEUED, EndReason.START_FAILED
    if row["stop_asked"] is not None:
        to, reason = RunState.STOPPED, EndReason.STOPPED_BY_PERSON
        if row["stop_verb"] == PAUSE:
            to, reason = RunState.PAUSED, EndReason.PAUSED_BY_PERSON
    error = UserError("run.start_lost").body() if to is RunState.QUEUED else None
    database.write_now(
        lambda t: transitions.move(
            t,
            row["run_id"],
            to,
            actor=ACTOR,
            at=now(),
            lease=row["lease"],
            reason=reason,
            error=error,
            ended=row["started"],
        ),
        durable=True,
    )
