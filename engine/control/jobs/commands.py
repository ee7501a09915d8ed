"""What a person may ask for, each written in one transaction together with the command itself.

A request that carries an idempotency key is answered from the command table when it comes again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engine.contract.api import EditRun, RunSummary
from engine.contract.clock import now
from engine.contract.config_file import check_spec, problem_of
from engine.contract.errors import Conflict, NotFound, Problem, Refused
from engine.contract.events import RunChanged
from engine.contract.ids import new_id
from engine.contract.preflight import check_files
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import EndReason, RunState
from engine.control.jobs import transitions
from engine.control.store import events, runs
from engine.control.store.database import Transaction


@dataclass(frozen=True)
class Request:
    """Who asks for what, and the key that makes asking twice harmless."""

    verb: str
    actor: str = "local"
    key: str | None = None
    target: str | None = None
    body: str = ""

    @property
    def fingerprint(self) -> str:
        """What a repetition must agree with."""
        return hashlib.sha256(json.dumps([self.verb, self.target, self.body]).encode()).hexdigest()


def once(transaction: Transaction, request: Request, work: Callable[[Transaction], RunSummary | None]) -> Any:
    """Do the work and keep its answer, or give the answer that was kept."""
    if request.key is not None:
        known = transaction.one("SELECT body, result FROM command WHERE idempotency = ?", (request.key,))
        if known is not None:
            if known["body"] != request.fingerprint:
                raise Conflict("request.key_reused", key=request.key)
            return RunSummary.model_validate_json(known["result"]) if known["result"] else None
    answer = work(transaction)
    transaction.execute(
        "INSERT INTO command(idempotency, at, actor, verb, target, body, state, result) VALUES (?,?,?,?,?,?,'done',?)",
        (
            *(request.key, now(), request.actor, request.verb, request.target, request.fingerprint),
            answer.model_dump_json() if answer else None,
        ),
    )
    return answer


def existing(connection: sqlite3.Connection, uid: str) -> sqlite3.Row:
    """The run's row; NotFound without one."""
    row = runs.find(connection, uid)
    if row is None:
        raise NotFound("run.unknown", run=uid)
    return row


def create(transaction: Transaction, spec: RunSpec, start: bool, owner: str, actor: str) -> RunSummary:
    """A new run: a draft, or in the queue at once."""
    at = now()
    run_id = runs.insert(transaction, new_id(), spec, owner, at)
    if start:
        transitions.move(transaction, run_id, RunState.QUEUED, actor=actor, at=at)
    else:
        body = {"from": None, "to": RunState.DRAFT, "reason": None, "error": None}
        cursor = events.add(transaction, "state", body, at=at, run_id=run_id, actor=actor)
        _tell(transaction, run_id, cursor, at, actor)
    return runs.summary(transaction.connection, run_id)


def edit(transaction: Transaction, uid: str, change: EditRun, actor: str) -> RunSummary:
    """Spec of a draft; priority of a run that has not begun; name and tags of any."""
    row = existing(transaction.connection, uid)
    state = RunState(row["state"])
    if change.spec is not None and state is not RunState.DRAFT:
        raise wrong_state(row, "edited", "Copy it and edit the copy.")
    if change.priority is not None and state not in (RunState.DRAFT, RunState.QUEUED, RunState.PAUSED):
        raise wrong_state(row, "given another priority", "The priority orders runs that wait.")
    spec = change.spec or RunSpec.model_validate_json(row["spec"])
    plain = spec.model_dump(mode="json")
    plain |= change.model_dump(include={"priority", "name", "tags"}, exclude_none=True)
    runs.replace_spec(transaction, row["id"], checked_spec(plain))
    at = now()
    fields = sorted(change.model_dump(exclude_none=True))
    cursor = events.add(transaction, "edited", {"fields": fields}, at=at, run_id=row["id"], actor=actor)
    return _tell(transaction, row["id"], cursor, at, actor)


def checked_spec(plain: dict[str, Any]) -> RunSpec:
    """A spec from plain data; Refused with every problem."""
    try:
        return RunSpec.model_validate(plain)
    except ValidationError as error:
        raise Refused("request.refused", problems=problems_of(error.errors())) from None


def problems_of(details: Any) -> list[Problem]:
    """What pydantic found in a request: by our own words where it is in an order, else by its own."""
    return [_problem_of(dict(detail)) for detail in details]


def _problem_of(detail: dict[str, Any]) -> Problem:
    place = tuple(part for part in detail["loc"] if part != "body")
    inside = place[1:] if place[:1] == ("spec",) else place
    if inside[:2] == ("job", "train") and len(inside) > 2:  # people know the settings of a job without the words
        return problem_of({**detail, "loc": inside[2:]}, TrainJob)
    if inside and inside != place:
        return problem_of({**detail, "loc": inside}, RunSpec)
    where = ".".join(map(str, place))
    return Problem(code="request.field", field=where, params={"detail": str(detail["msg"])})


def start(transaction: Transaction, uid: str, actor: str) -> RunSummary:
    """Put a run into the queue."""
    row = existing(transaction.connection, uid)
    if not transitions.move(transaction, row["id"], RunState.QUEUED, actor=actor, at=now()):
        raise wrong_state(row, "started", "Copy it to run it again." if row["state"] == "completed" else "")
    return runs.summary(transaction.connection, row["id"])


def stop(transaction: Transaction, uid: str, save: bool, actor: str) -> RunSummary:
    """End a run that waits at once; note the wish for one that works."""
    row, at = existing(transaction.connection, uid), now()
    state = RunState(row["state"])
    if state in (RunState.QUEUED, RunState.PAUSED):
        transitions.move(
            transaction, row["id"], RunState.STOPPED, actor=actor, at=at, reason=EndReason.STOPPED_BY_PERSON
        )
    elif state.live:
        transaction.execute(
            "UPDATE attempt SET stop_asked = coalesce(stop_asked, ?), stop_save = min(coalesce(stop_save, 1), ?) "
            "WHERE run_id = ? AND ended IS NULL",
            (at, int(save), row["id"]),
        )
        cursor = events.add(transaction, "stop_asked", {"save": save}, at=at, run_id=row["id"], actor=actor)
        _tell(transaction, row["id"], cursor, at, actor)
    else:
        raise wrong_state(row, "stopped", "Only a run that waits or works can be stopped.")
    return runs.summary(transaction.connection, row["id"])


def copy(transaction: Transaction, uid: str, owner: str, actor: str) -> RunSummary:
    """A draft with the same spec."""
    row = existing(transaction.connection, uid)
    return create(transaction, RunSpec.model_validate_json(row["spec"]), False, owner, actor)


def mark_deleted(transaction: Transaction, uid: str) -> None:
    """First half of deleting: the run is out of sight. Refused while a worker is at work."""
    row = existing(transaction.connection, uid)
    if RunState(row["state"]).live:
        raise wrong_state(row, "deleted", "Stop it first.")
    transaction.execute("UPDATE run SET deleting = 1 WHERE id = ?", (row["id"],))


def delete_once(transaction: Transaction, request: Request, uid: str) -> None:
    """The same, harmless when the request is repeated."""

    def work(transaction: Transaction) -> None:
        mark_deleted(transaction, uid)

    once(transaction, request, work)


def refuse_unless_runnable(spec: RunSpec) -> None:
    """Everything this version cannot run, and every file that is missing, at once."""
    problems = [*check_spec(spec), *check_files(spec)]
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)


def wrong_state(row: sqlite3.Row, verb: str, hint: str) -> Conflict:
    """The present state does not allow it."""
    return Conflict("run.wrong_state", run=row["name"], verb=verb, state=row["state"], hint=hint)


def _tell(transaction: Transaction, run_id: int, cursor: int, at: float, actor: str) -> RunSummary:
    summary = runs.summary(transaction.connection, run_id)
    transaction.news.append(RunChanged(cursor=cursor, at=at, actor=actor, run=summary))
    return summary
