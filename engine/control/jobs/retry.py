"""Going on by itself after a failure of the infrastructure, with longer and longer waits between.

`run.retries` counts attempts that failed one after another without getting anywhere. An attempt that made a
checkpoint beyond the one it began with got somewhere: the count begins anew after it, so that a long run is not
limited to a few mishaps in its life, and a run that always dies at the same place still comes to an end. A person
who starts the run sets the count back as well. Only a new checkpoint counts, not time spent: what is not saved
would be trained for ever.

`run.retry_at` is for people and for the next controller. Here, waits are measured on the monotonic clock, so that
a change of the wall clock neither lengthens nor skips them.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field

from engine.contract.clock import now
from engine.contract.errors import ErrorBody, UserError
from engine.contract.run_spec import RunSpec
from engine.contract.serving import RESTART_WINDOW_S, ServeJob
from engine.contract.states import EndReason, RunState
from engine.contract.stream import RunChanged, RunEvent
from engine.control.jobs import next_start, out_of_memory, transitions
from engine.control.jobs.ending import Verdict
from engine.control.store import endpoints, events, moves, runs
from engine.control.store.database import Database, Transaction

ACTOR = "controller"
LONGEST_S = 3600.0
RESTART_S = 1.0
"""Before an instance is started again for the first time."""
ASKED = (EndReason.STOPPED_BY_PERSON, EndReason.PAUSED_BY_PERSON)


def back_off(first: float, number: int) -> float:
    """Seconds before the nth retry in a row."""
    return float(min(LONGEST_S, first * 2 ** min(number - 1, 30)))


@dataclass(frozen=True)
class Ending:
    """The attempt that ended, and the settings that matter."""

    run_id: int
    attempt_id: int
    lease: str
    retry_seconds: float
    ended: float | None = None
    """When its worker ended, if that was before anybody watched."""
    node: str = ""
    """Where it was."""


def conclude(transaction: Transaction, end: Ending, found: Verdict) -> None:
    """End the attempt as the verdict says, and let the run go on by itself if that may help."""
    at = now()
    row = transaction.one(
        "SELECT uid, retries, attempt, spec FROM run JOIN run_spec ON run_id = id WHERE id = ?", (end.run_id,)
    )
    own = found.state is RunState.COMPLETED or found.reason in ASKED
    if row is not None and not own and moves.is_arriving(transaction.connection, end.attempt_id):
        _end(transaction, end, RunState.QUEUED, found.reason, found.error, at)  # where it came from it goes on
        return
    if row is not None and out_of_memory.ran_out(found):
        spec = RunSpec.model_validate_json(row["spec"])
        found, rung = out_of_memory.answer(transaction, end.run_id, spec, found)
        if rung is not None or found.state is RunState.PAUSED:
            if _end(transaction, end, found.state, found.reason, found.error, at) and rung is not None:
                out_of_memory.tell(transaction, end.run_id, end.attempt_id, rung, at, ACTOR)
            return
    if row is not None and found.of_node:
        _put_back(transaction, end, found, row, at)
        return
    if row is not None and _start_again(transaction, end, found, row, at):
        return
    most = RunSpec.model_validate_json(row["spec"]).limits.retries if row is not None else 0
    if row is None or not found.again or most == 0:
        _end(transaction, end, found.state, found.reason, found.error, at)
        return
    number = 1 + (0 if next_start.progressed(transaction.connection, end.attempt_id) else row["retries"])
    if number > most:
        error = used_up(found.error, most + 1)
        _end(transaction, end, RunState.FAILED, found.reason, error, at)
        return
    seconds = back_off(end.retry_seconds, number)
    if not _end(transaction, end, RunState.QUEUED, found.reason, found.error, at):
        return
    transaction.execute("UPDATE run SET retries = ?, retry_at = ? WHERE id = ?", (number, at + seconds, end.run_id))
    detail = found.error.what if found.error else ""
    params = {"seconds": round(seconds), "number": number, "most": most, "detail": detail}
    _note(transaction, end, row, "run.retry", params, at)


def _put_back(transaction: Transaction, end: Ending, found: Verdict, row: sqlite3.Row, at: float) -> None:
    """A node could not start it: the run waits again, however often; the node itself is left alone for longer."""
    if not _end(transaction, end, RunState.QUEUED, found.reason, found.error, at):
        return
    transaction.execute("UPDATE run SET retry_at = ? WHERE id = ?", (at + end.retry_seconds, end.run_id))
    if _faults(transaction, end.run_id) > 1:  # perhaps it is this run after all: others of its priority go first
        transaction.execute("UPDATE run SET queue_rank = ? WHERE id = ?", (at, end.run_id))
    detail = " ".join(filter(None, (found.error.what, found.error.why))) if found.error else ""
    _note(transaction, end, row, "run.node_fault", {"node": end.node, "detail": detail}, at)


def _start_again(transaction: Transaction, end: Ending, found: Verdict, row: sqlite3.Row, at: float) -> bool:
    """An instance that answered once is there again, whatever ended it, unless it ended too often in an hour."""
    spec = RunSpec.model_validate_json(row["spec"])
    if not isinstance(spec.job, ServeJob) or found.state is not RunState.FAILED or found.reason in ASKED:
        return False
    if not spec.job.restart or not endpoints.answered(transaction.connection, end.attempt_id):
        return False
    number = 1 + endpoints.ended_since(transaction.connection, end.run_id, at - RESTART_WINDOW_S)
    if number > spec.job.restarts:
        return _end(transaction, end, RunState.FAILED, found.reason, used_up(found.error, number), at)
    if _end(transaction, end, RunState.QUEUED, found.reason, found.error, at):
        seconds = back_off(min(RESTART_S, end.retry_seconds), number)
        transaction.execute("UPDATE run SET retry_at = ? WHERE id = ?", (at + seconds, end.run_id))
        detail = found.error.what if found.error else ""
        params = {"seconds": round(seconds), "number": number, "most": spec.job.restarts, "detail": detail}
        _note(transaction, end, row, "run.retry", params, at)
    return True


def _faults(transaction: Transaction, run_id: int) -> int:
    """How many starts in a row failed."""
    return int(
        transaction.execute(
            "SELECT count(*) FROM attempt WHERE run_id = :run AND n > coalesce("
            "(SELECT max(n) FROM attempt WHERE run_id = :run AND reason IS NOT :reason), 0)",
            {"run": run_id, "reason": EndReason.START_FAILED},
        ).fetchone()[0]
    )


def _note(
    transaction: Transaction, end: Ending, row: sqlite3.Row, code: str, params: dict[str, object], at: float
) -> None:
    body = {"level": "warning", "code": code, "params": params}
    cursor = events.add(
        transaction, "note", body, at=at, run_id=end.run_id, attempt_id=end.attempt_id, level=events.WARNING,
        actor=ACTOR,
    )  # fmt: skip
    note = RunEvent(
        cursor=cursor, at=at, run=row["uid"], attempt=row["attempt"], kind="note", level=events.WARNING, body=body
    )
    transaction.news += [note, RunChanged(at=at, actor=ACTOR, run=runs.summary(transaction.connection, end.run_id))]


def used_up(error: ErrorBody | None, number: int) -> ErrorBody:
    """The last failure, and that there were too many of them."""
    text = " ".join(filter(None, (error.what, error.why))) if error else ""
    params = {name: value for name, value in (error.params if error else {}).items() if name != "problems"}
    return UserError("run.retries_used_up", **{**params, "number": number, "detail": text}).body()


def reset(transaction: Transaction, run_id: int) -> None:
    """A person took it in hand."""
    transaction.execute("UPDATE run SET retries = 0, retry_at = NULL WHERE id = ?", (run_id,))


def _end(
    transaction: Transaction, end: Ending, state: RunState, reason: EndReason, error: ErrorBody | None, at: float
) -> bool:
    return transitions.complete(
        transaction, end.run_id, state, actor=ACTOR, at=at, lease=end.lease, reason=reason, error=error, ended=end.ended
    )


@dataclass
class Alarm:
    """Which retries are due. Belongs to one process: its waits are on that process's monotonic clock."""

    _due: dict[tuple[int, float], float] = field(default_factory=dict)

    def ring(self, database: Database, retry_seconds: float) -> float | None:
        """Let those that are due into the queue; seconds until the next one. Waits: call it on a thread."""
        rows = database.read_now(
            lambda c: c.execute("SELECT id, retry_at, retries FROM run WHERE retry_at IS NOT NULL").fetchall()
        )
        wall, clock = now(), time.monotonic()
        due: dict[tuple[int, float], float] = {}
        for row in rows:
            key = (row["id"], row["retry_at"])
            longest = back_off(retry_seconds, max(1, row["retries"]))  # the clock may have been set back
            due[key] = self._due.get(key, clock + min(max(0.0, row["retry_at"] - wall), longest))
        ripe = [key for key, when in due.items() if when <= clock]
        self._due = {key: when for key, when in due.items() if when > clock}
        if ripe:
            database.write_now(lambda t: _let_in(t, ripe), durable=True)
        return min(self._due.values()) - clock if self._due else None


def _let_in(transaction: Transaction, ripe: list[tuple[int, float]]) -> None:
    for run_id, when in ripe:
        done = transaction.execute("UPDATE run SET retry_at = NULL WHERE id = ? AND retry_at = ?", (run_id, when))
        if done.rowcount:
            transaction.news.append(RunChanged(at=now(), run=runs.summary(transaction.connection, run_id)))
