"""After a restart: take up again what an earlier controller left, by process id, start time and lease."""

from __future__ import annotations

import logging
import sqlite3

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder, Home
from engine.contract.states import EndReason, RunState
from engine.control.executors.base import Executor
from engine.control.jobs import transitions
from engine.control.jobs.ending import MOVE, PAUSE
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


def take_up(home: Home, database: Database, executor: Executor, row: sqlite3.Row) -> bool:
    """Take up one attempt; False, and the run waits again, if it never came to a start. Waits: call it on a thread."""
    folder = home.attempt(row["uid"], row["n"])
    if executor.adopt(folder, row["handle"], row["lease"]):
        log.info("run %s: attempt %d goes on", row["uid"], row["n"])
        return True
    never_started(database, folder, source_of(home, row))
    return False


def never_started(database: Database, folder: AttemptFolder, source: Source) -> None:
    """An attempt whose worker never came to life: its run waits again. Waits: call it on a thread."""
    log.warning("run %s: attempt %d never started", source.uid, source.n)
    prune_aside(folder)
    row = database.read_now(lambda c: attempts.open_attempt(c, source.attempt_id))
    if row is not None:
        _requeue(database, row)


def _requeue(database: Database, row: sqlite3.Row) -> None:
    """A start that was lost: nothing has happened yet, so the run waits again, unless a person wished otherwise."""
    to, reason = RunState.QUEUED, EndReason.START_LOST
    if row["stop_asked"] is not None and row["stop_verb"] != MOVE:
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
