"""Which state a run may move to, and the only code that moves it.

    draft -> queued -> preparing -> running -> finishing -> completed
    queued -> stopped | paused        a person changed their mind
    any live state -> failed | stopped | paused | queued (its attempt has ended)
    paused | failed | stopped -> queued                   as a new attempt
    completed -> queued                                   only when somebody resumes it (`reopen`)

`move` checks the table and writes state, reason, actor and event in one transaction. Out of a live state it is
guarded by the attempt's lease: a worker's report is evidence, not a command, and "running" for a run that was
stopped meanwhile is logged, not obeyed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from engine.contract.errors import ErrorBody
from engine.contract.states import LIVE, EndReason, Phase, RunState
from engine.contract.stream import RunChanged
from engine.control.store import events, runs
from engine.control.store.database import Transaction

log = logging.getLogger(__name__)
S = RunState
_OUT_OF_LIVE = frozenset({S.FAILED, S.STOPPED, S.PAUSED, S.QUEUED})
TABLE: Mapping[RunState, frozenset[RunState]] = {
    S.DRAFT: frozenset({S.QUEUED}),
    S.QUEUED: frozenset({S.PREPARING, S.STOPPED, S.PAUSED}),
    S.PREPARING: _OUT_OF_LIVE | {S.RUNNING},
    S.RUNNING: _OUT_OF_LIVE | {S.FINISHING},
    S.FINISHING: _OUT_OF_LIVE | {S.COMPLETED},
    S.PAUSED: frozenset({S.QUEUED, S.STOPPED}),
    S.FAILED: frozenset({S.QUEUED}),
    S.STOPPED: frozenset({S.QUEUED}),
    S.COMPLETED: frozenset(),
}


def move(
    transaction: Transaction,
    run_id: int,
    to: RunState,
    *,
    actor: str,
    at: float,
    lease: str | None = None,
    reason: EndReason | None = None,
    error: ErrorBody | None = None,
    reopen: bool = False,
    ended: float | None = None,
) -> bool:
    """Move a run; False (and a line in the log) if its state or the lease does not allow it any more.

    `ended` is when its work ended, where that was long before anybody could say so.
    """
    row = transaction.one("SELECT uid, state FROM run WHERE id = ? AND deleting = 0", (run_id,))
    if row is None:
        return False
    was = RunState(row["state"])
    bound = was in LIVE or lease is not None  # whoever names a lease must hold it, wherever the run stands
    attempt = _held(transaction, run_id, lease) if bound else None
    allowed = to in TABLE[was] or (reopen and was is S.COMPLETED and to is S.QUEUED)
    if not allowed or (bound and attempt is None):
        log.info(
            "run %s: %s is %s, not moved to %s by %s", row["uid"], "late report" if lease else "it", was, to, actor
        )
        return False
    over = at if attempt is None or to in LIVE or ended is None else _between(transaction, attempt, ended, at)
    _write(transaction, run_id, to, over, reason, error)
    if to is S.QUEUED and was not in LIVE:  # a run that goes on by itself keeps its place
        transaction.execute(
            "UPDATE run SET queued = ?, queue_rank = ?, first_step = NULL WHERE id = ?", (at, at, run_id)
        )
    if attempt is not None and to not in LIVE:
        _end_attempt(transaction, attempt, over, reason)
        runs.end_work(transaction, run_id, over)
    _announce(transaction, run_id, attempt, was, to, actor=actor, at=at, reason=reason, error=error)
    return True


def complete(
    transaction: Transaction,
    run_id: int,
    to: RunState,
    *,
    actor: str,
    at: float,
    lease: str,
    reason: EndReason,
    error: ErrorBody | None = None,
    ended: float | None = None,
) -> bool:
    """Move a live run to an end, through the states between that its worker did not live to report."""
    if to is S.COMPLETED:
        for between in (S.RUNNING, S.FINISHING):
            state = transaction.execute("SELECT state FROM run WHERE id = ?", (run_id,)).fetchone()[0]
            if between in TABLE[RunState(state)]:
                move(transaction, run_id, between, actor=actor, at=at, lease=lease)
    return move(transaction, run_id, to, actor=actor, at=at, lease=lease, reason=reason, error=error, ended=ended)


def _held(transaction: Transaction, run_id: int, lease: str | None) -> int | None:
    """The open attempt whose lease this is."""
    row = transaction.one("SELECT id FROM attempt WHERE run_id = ? AND lease = ? AND ended IS NULL", (run_id, lease))
    return int(row[0]) if row else None


def _write(
    transaction: Transaction, run_id: int, to: RunState, at: float, reason: EndReason | None, error: ErrorBody | None
) -> None:
    transaction.execute(
        "UPDATE run SET state = ?, reason = ?, error = ? WHERE id = ?",
        (to, reason, error.model_dump_json() if error else None, run_id),
    )
    if to not in LIVE:
        transaction.execute("UPDATE run SET mark = NULL, mark_since = NULL, retry_at = NULL WHERE id = ?", (run_id,))
    if to is S.QUEUED:
        transaction.execute(
            "UPDATE run SET finished = NULL, phase = NULL, pace = NULL, expires = NULL, cleaned = NULL WHERE id = ?",
            (run_id,),
        )
    elif to is S.PREPARING:
        transaction.execute("UPDATE run SET started = ?, phase = ? WHERE id = ?", (at, Phase.STARTING, run_id))
    elif to.ended:
        transaction.execute("UPDATE run SET finished = ? WHERE id = ?", (at, run_id))
        if to is S.COMPLETED:
            transaction.execute("UPDATE run SET phase = ? WHERE id = ?", (Phase.DONE, run_id))


def _between(transaction: Transaction, attempt_id: int, moment: float, at: float) -> float:
    """The moment, but not before the attempt began nor after now: clocks may have been changed meanwhile."""
    begun = transaction.execute("SELECT started FROM attempt WHERE id = ?", (attempt_id,)).fetchone()[0]
    return float(min(at, max(begun, moment)))


def _end_attempt(transaction: Transaction, attempt_id: int, at: float, reason: EndReason | None) -> None:
    transaction.execute("UPDATE attempt SET ended = ?, reason = ? WHERE id = ?", (at, reason, attempt_id))
    transaction.execute("DELETE FROM device_lease WHERE attempt_id = ?", (attempt_id,))


def _announce(
    transaction: Transaction,
    run_id: int,
    attempt_id: int | None,
    was: RunState,
    to: RunState,
    *,
    actor: str,
    at: float,
    reason: EndReason | None,
    error: ErrorBody | None,
) -> None:
    body = {"from": was, "to": to, "reason": reason, "error": error.model_dump() if error else None}
    level = events.ERROR if to is S.FAILED else events.INFO
    cursor = events.add(
        transaction, "state", body, at=at, run_id=run_id, attempt_id=attempt_id, level=level, actor=actor
    )
    summary = runs.summary(transaction.connection, run_id)
    transaction.news.append(RunChanged(cursor=cursor, at=at, actor=actor, run=summary))
