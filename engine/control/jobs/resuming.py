"""Going on with a run that ended or is paused: from which checkpoint, and how far."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.contract.api import CheckpointInfo, ResumeRun, RunSummary
from engine.contract.clock import now
from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import RunState
from engine.control.jobs import next_start, out_of_memory, retry, transitions
from engine.control.jobs.commands import checked_spec, existing, settle, tell, wrong_state
from engine.control.jobs.next_start import Wish
from engine.control.store import artifacts, events, runs
from engine.control.store.database import Transaction

RESUMABLE = (RunState.PAUSED, RunState.STOPPED, RunState.FAILED, RunState.COMPLETED)


@dataclass(frozen=True)
class Plan:
    """What a resume would do; made, and refused, before anything is written."""

    wish: Wish
    spec: RunSpec
    changed: bool


def resume(transaction: Transaction, uid: str, body: ResumeRun, actor: str) -> RunSummary:
    """Queue it again as a new attempt of the same run."""
    row = existing(transaction.connection, uid)
    plan = planned(transaction.connection, row, body)
    if plan.changed:
        runs.replace_spec(transaction, row["id"], plan.spec)
        fields = sorted(body.model_dump(include={"epochs", "max_steps"}, exclude_none=True))
        at = now()
        cursor = events.add(transaction, "edited", {"fields": fields}, at=at, run_id=row["id"], actor=actor)
        tell(transaction, row["id"], cursor, at, actor)
    if body.rung is not None:
        rung = out_of_memory.chosen(transaction, row["id"], plan.spec, body.rung)
        out_of_memory.tell(transaction, row["id"], None, rung, now(), actor)
    settle(transaction, existing(transaction.connection, uid))
    next_start.keep(transaction, row["id"], plan.wish)
    retry.reset(transaction, row["id"])
    transitions.move(transaction, row["id"], RunState.QUEUED, actor=actor, at=now(), reopen=True)
    return runs.summary(transaction.connection, row["id"])


def planned(connection: sqlite3.Connection, row: sqlite3.Row, body: ResumeRun) -> Plan:
    """How the run would go on; refused whole if it makes no sense."""
    state = RunState(row["state"])
    if state not in RESUMABLE:
        raise wrong_state(row, "resumed", "Only a run that is paused or has ended can go on.")
    if body.from_start and body.checkpoint is not None:
        raise UserError("request.invalid", detail="A run goes on from a checkpoint or from the start, not both.")
    spec = extended(RunSpec.model_validate_json(row["spec"]), body)
    changed = spec is not None
    spec = spec or RunSpec.model_validate_json(row["spec"])
    at = _beginning(connection, row, body)
    completed = state is RunState.COMPLETED
    if completed and at is None and not body.from_start:
        raise Conflict("checkpoint.none_left", run=row["name"])
    _refuse_nonsense(row, spec, at, changed, completed)
    cause: next_start.Cause = "restart" if body.from_start else "extend" if changed else "resume"
    return Plan(Wish(cause, body.checkpoint, body.from_start, required=completed), spec, changed)


def extended(spec: RunSpec, body: ResumeRun) -> RunSpec | None:
    """The spec with the wished length; None without one. More epochs count for more than an old limit of steps."""
    wanted: dict[str, Any] = body.model_dump(include={"epochs", "max_steps"}, exclude_none=True)
    if not wanted or not isinstance(spec.job, TrainJob):
        return None
    if "max_steps" not in wanted:
        wanted["max_steps"] = None
    plain = spec.model_dump(mode="json")
    plain["job"]["training"] |= wanted
    return checked_spec(plain)


def steps_wanted(spec: RunSpec, at: CheckpointInfo) -> int | None:
    """How many steps the spec asks for in all, as far as a checkpoint lets it be known."""
    if not isinstance(spec.job, TrainJob):
        return None
    training = spec.job.training
    if training.max_steps is not None:
        return training.max_steps
    if at.epoch <= 0 or at.step <= 0:
        return None
    return math.ceil(training.epochs * max(1, round(at.step / at.epoch)))


def _beginning(connection: sqlite3.Connection, row: sqlite3.Row, body: ResumeRun) -> CheckpointInfo | None:
    """The checkpoint it would go on from; None: from the start."""
    if body.from_start:
        return None
    there = artifacts.checkpoints(connection, row["id"])
    if body.checkpoint is not None:
        chosen = next((one for one in there if one.id == body.checkpoint), None)
        if chosen is None:
            raise NotFound("checkpoint.unknown", run=row["name"], checkpoint=body.checkpoint)
        return chosen
    best = next(iter(next_start.candidates(connection, row["id"])), None)
    if best is None:
        return None
    return next(one for one in reversed(there) if (one.attempt, one.step) == (best.attempt, best.step))


def _refuse_nonsense(
    row: sqlite3.Row, spec: RunSpec, at: CheckpointInfo | None, changed: bool, completed: bool
) -> None:
    """No going back behind the checkpoint, and no going on where nothing is left to do."""
    if at is None:
        return
    steps = steps_wanted(spec, at)
    if changed and steps is not None and steps < at.step:
        raise Refused("run.cannot_shrink", run=row["name"], steps=steps, at=at.step)
    total = steps if steps is not None else row["total_steps"] or 0
    if completed and at.step >= total:
        raise Conflict("run.nothing_to_resume", run=row["name"], step=at.step)
