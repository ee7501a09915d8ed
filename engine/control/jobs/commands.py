"""What a person may ask for, each written in one transaction together with the command itself.

Requests that come twice are the matter of `requests`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.contract.adapter_start import GOES_ON, read_adapter, settings_of
from engine.contract.api import EditRun, RunSummary
from engine.contract.clock import now
from engine.contract.config_file import check_spec, problem_of
from engine.contract.datasets import ImportJob
from engine.contract.errors import Conflict, NotFound, Problem, Refused
from engine.contract.ids import new_id
from engine.contract.preflight import check_files
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.contract.states import EndReason, RunState
from engine.contract.stream import RunChanged
from engine.contract.tuner import TunerConfig
from engine.control.jobs import dataset_pins, next_start, retry, transitions
from engine.control.jobs.requests import Request, once
from engine.control.jobs.wishes import verb_of
from engine.control.store import events, runs
from engine.control.store.database import Transaction


def existing(connection: sqlite3.Connection, uid: str) -> sqlite3.Row:
    """The run's row; NotFound without one."""
    row = runs.find(connection, uid)
    if row is None:
        raise NotFound("run.unknown", run=uid)
    return row


def create(transaction: Transaction, spec: RunSpec, start: bool, owner: str, actor: str) -> RunSummary:
    """A new run: a draft, or in the queue at once."""
    at = now()
    spec, problems = dataset_pins.settled(transaction.connection, spec)
    if start and problems:
        raise Refused("config.refused", count=len(problems), problems=problems)
    run_id = runs.insert(transaction, new_id(), spec, owner, at)
    if start:
        transitions.move(transaction, run_id, RunState.QUEUED, actor=actor, at=at)
    else:
        body = {"from": None, "to": RunState.DRAFT, "reason": None, "error": None}
        cursor = events.add(transaction, "state", body, at=at, run_id=run_id, actor=actor)
        tell(transaction, run_id, cursor, at, actor)
    return runs.summary(transaction.connection, run_id)


def edit(transaction: Transaction, uid: str, change: EditRun, actor: str) -> RunSummary:
    """Spec of a draft; priority of a run that has not begun; name, tags and the pin of any."""
    row = existing(transaction.connection, uid)
    state = RunState(row["state"])
    if change.spec is not None and state is not RunState.DRAFT:
        raise wrong_state(row, "edited", "Copy it and edit the copy.")
    if change.priority is not None and state not in (RunState.DRAFT, RunState.QUEUED, RunState.PAUSED):
        raise wrong_state(row, "given another priority", "The priority orders runs that wait.")
    spec = change.spec or RunSpec.model_validate_json(row["spec"])
    plain = spec.model_dump(mode="json")
    plain |= change.model_dump(include={"priority", "name", "tags"}, exclude_none=True)
    changed = checked_spec(plain)
    if change.spec is not None:  # a draft may name what is not there yet
        changed, _problems = dataset_pins.settled(transaction.connection, changed)
    runs.replace_spec(transaction, row["id"], changed)
    if change.pinned is not None:
        transaction.execute("UPDATE run SET pinned = ?, expires = NULL WHERE id = ?", (change.pinned, row["id"]))
    at = now()
    fields = sorted(change.model_dump(exclude_none=True))
    cursor = events.add(transaction, "edited", {"fields": fields}, at=at, run_id=row["id"], actor=actor)
    return tell(transaction, row["id"], cursor, at, actor)


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
    if inside[:2] == ("job", "import") and len(inside) > 2:
        return problem_of({**detail, "loc": inside[2:]}, ImportJob)
    if inside[:2] == ("job", "sample") and len(inside) > 2:
        return problem_of({**detail, "loc": inside[2:]}, SampleJob)
    if inside[:2] == ("job", "serve") and len(inside) > 2:
        return problem_of({**detail, "loc": inside[2:]}, ServeJob)
    if inside[:2] == ("job", "train") and len(inside) > 2:  # people know the settings of a job without the words
        return problem_of({**detail, "loc": inside[2:]}, TrainJob)
    if inside and inside != place:
        return problem_of({**detail, "loc": inside}, RunSpec)
    where = ".".join(map(str, place))
    return Problem(code="request.field", field=where, params={"detail": str(detail["msg"])})


def start(transaction: Transaction, uid: str, actor: str) -> RunSummary:
    """Put a run into the queue: a draft for the first time, one that ended to go on where it was."""
    row, at = existing(transaction.connection, uid), now()
    if row["state"] == RunState.QUEUED and row["retry_at"] is not None:  # it need not wait any longer
        retry.reset(transaction, row["id"])
        cursor = events.add(transaction, "edited", {"fields": ["retry_at"]}, at=at, run_id=row["id"], actor=actor)
        return tell(transaction, row["id"], cursor, at, actor)
    settle(transaction, row)
    if row["attempt"] and not row["next"]:
        next_start.keep(transaction, row["id"], next_start.Wish("resume"))
    if not transitions.move(transaction, row["id"], RunState.QUEUED, actor=actor, at=at):
        hint = "Resume it with more epochs or from an earlier checkpoint." if row["state"] == "completed" else ""
        raise wrong_state(row, "started", hint)
    retry.reset(transaction, row["id"])
    return runs.summary(transaction.connection, row["id"])


def settle(transaction: Transaction, row: sqlite3.Row) -> None:
    """Versions of datasets that a run does not name yet are settled before it starts; Refused if they are gone."""
    spec = RunSpec.model_validate_json(row["spec"])
    settled = dataset_pins.refused_unless_settled(transaction.connection, spec)
    if settled != spec:
        runs.replace_spec(transaction, row["id"], settled)


def stop(transaction: Transaction, uid: str, save: bool, actor: str) -> RunSummary:
    """End a run that waits at once; note the wish for one that works."""
    row, at = existing(transaction.connection, uid), now()
    state = RunState(row["state"])
    if state in (RunState.QUEUED, RunState.PAUSED):
        next_start.keep(transaction, row["id"], None)
        transitions.move(
            transaction, row["id"], RunState.STOPPED, actor=actor, at=at, reason=EndReason.STOPPED_BY_PERSON
        )
    elif state.live:
        transaction.execute(
            "UPDATE attempt SET stop_asked = coalesce(stop_asked, ?), stop_save = min(coalesce(stop_save, 1), ?), "
            "stop_verb = CASE WHEN stop_verb = 'stop_without_saving' THEN stop_verb ELSE ? END "
            "WHERE run_id = ? AND ended IS NULL",
            (at, int(save), verb_of(save), row["id"]),
        )
        cursor = events.add(transaction, "stop_asked", {"save": save}, at=at, run_id=row["id"], actor=actor)
        tell(transaction, row["id"], cursor, at, actor)
    else:
        raise wrong_state(row, "stopped", "Only a run that waits or works can be stopped.")
    return runs.summary(transaction.connection, row["id"])


def pause(transaction: Transaction, uid: str, actor: str) -> RunSummary:
    """A run that waits is paused at once; one that works saves first."""
    row, at = existing(transaction.connection, uid), now()
    state = RunState(row["state"])
    if state is RunState.QUEUED:
        reason = EndReason.PAUSED_BY_PERSON
        transitions.move(transaction, row["id"], RunState.PAUSED, actor=actor, at=at, reason=reason)
    elif state.live:
        asked = transaction.execute(
            "UPDATE attempt SET stop_asked = coalesce(stop_asked, ?), stop_save = 1, stop_verb = 'pause' "
            "WHERE run_id = ? AND ended IS NULL AND (stop_asked IS NULL OR stop_verb IN ('pause', 'move'))",
            (at, row["id"]),
        )
        if not asked.rowcount:
            raise wrong_state(row, "paused", "It was asked to stop already.")
        cursor = events.add(transaction, "pause_asked", {}, at=at, run_id=row["id"], actor=actor)
        tell(transaction, row["id"], cursor, at, actor)
    else:
        raise wrong_state(row, "paused", "Only a run that waits or works can be paused.")
    return runs.summary(transaction.connection, row["id"])


def copy(transaction: Transaction, uid: str, owner: str, actor: str, adapter: Path | None = None) -> RunSummary:
    """A draft with the same spec; with an adapter it goes on with that one."""
    row = existing(transaction.connection, uid)
    spec = RunSpec.model_validate_json(row["spec"])
    return create(transaction, spec if adapter is None else going_on(spec, uid, adapter), False, owner, actor)


def going_on(spec: RunSpec, uid: str, adapter: Path) -> RunSpec:
    """The spec of a run that goes on with another's adapter: with the settings it was left with, whatever it began as.

    One that took directions out of the base model is left with twice the rank.
    """
    try:
        settings = settings_of(read_adapter(adapter))
    except (OSError, ValueError) as error:
        raise Conflict("run.no_adapter", run=uid, detail=str(error)[:200]) from error
    job = spec.job
    if not isinstance(job, TrainJob) or job.tuner.kind not in GOES_ON:
        raise Conflict("run.no_adapter", run=uid, detail=f"{spec.kind}: {', '.join(GOES_ON)}")
    kind = job.tuner.kind if settings["kind"] == "lora" else settings["kind"]
    wanted = {**job.tuner.model_dump(), **settings, "kind": kind, "adapter": str(adapter), "new_tokens": {}}
    return spec.model_copy(update={"job": job.model_copy(update={"tuner": TunerConfig.model_validate(wanted)})})


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


def refuse_unless_runnable(spec: RunSpec, found: Sequence[Problem] = ()) -> None:
    """Everything this version cannot run, every file that is missing, and what was found before, at once."""
    problems = [*check_spec(spec), *check_files(spec), *found]
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)


def wrong_state(row: sqlite3.Row, verb: str, hint: str) -> Conflict:
    """The present state does not allow it."""
    return Conflict("run.wrong_state", run=row["name"], verb=verb, state=row["state"], hint=hint)


def tell(transaction: Transaction, run_id: int, cursor: int, at: float, actor: str) -> RunSummary:
    """Announce a change that was stored as an event."""
    summary = runs.summary(transaction.connection, run_id)
    transaction.news.append(RunChanged(cursor=cursor, at=at, actor=actor, run=summary))
    return summary
