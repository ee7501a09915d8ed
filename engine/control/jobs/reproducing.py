"""Doing a run again exactly: what is other today, the new run, and how the losses of both stand to each other."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from engine.contract.api import QueryAnswer, QueryRequest, RunSummary
from engine.contract.errors import Conflict, UserError
from engine.contract.nodes import LOCAL
from engine.contract.reproduction import TOLERANCE, Reproduction, ReproductionCheck, RunManifest, Verdict, differences
from engine.contract.run_spec import RunSpec, TrainJob
from engine.control.jobs import commands
from engine.control.jobs.commands import existing
from engine.control.jobs.desk import Desk, owner
from engine.control.jobs.requests import Request
from engine.control.store import manifests, runs
from engine.control.store.database import Transaction

Ask = Callable[[QueryRequest], Awaitable[QueryAnswer]]
LATER = ["model_commit", "order", "threads", "device", "driver", "cuda", "precision"]
"""Known when the new run has loaded its model."""
NAME_LENGTH = 120


async def check(desk: Desk, uid: str, ask: Ask) -> ReproductionCheck:
    """Compare what the run told with what is here now, as far as a helper can look at it in its time."""
    _row, spec, attempt, was, node = await _told(desk, uid)
    why, later = "", LATER
    if isinstance(spec.job, TrainJob) and spec.job.from_scratch:
        later = [*LATER, "model"]  # made by the run
    if node != LOCAL:  # what is installed there cannot be seen from here
        return ReproductionCheck(run=uid, attempt=attempt, unchecked=_all_fields())
    for whole in (True, False):
        params = {"spec": spec.model_dump(mode="json"), "program_only": not whole}
        answer = await ask(QueryRequest(kind="reproduction_facts", params=params))
        if answer.error is None:
            now = RunManifest.model_validate(answer.result)
            left = later if whole else [*LATER, "config", "model", "data", "rows", "seed"]
            found = differences(was, now, [*left, "image"])
            return ReproductionCheck(run=uid, attempt=attempt, differences=found, unchecked=left, error=why)
        why = answer.error.what
        if answer.error.code != "query.too_slow":
            break
    return ReproductionCheck(run=uid, attempt=attempt, unchecked=_all_fields(), error=why)


async def again(desk: Desk, uid: str, request: Request) -> RunSummary:
    """A new run with the same order, which is known to do the other again."""
    row, spec, _attempt, _was, _node = await _told(desk, uid)
    name = f"{spec.name} ⟲"[:NAME_LENGTH]
    spec = spec.model_copy(update={"name": name})
    await desk._refuse_unless_startable(spec)
    person = owner()

    def work(transaction: Transaction) -> RunSummary:
        made = commands.create(transaction, spec, True, person, request.actor)
        new = transaction.one("SELECT id FROM run WHERE uid = ?", (made.uid,))
        assert new is not None
        manifests.reproduces(transaction, new["id"], row["uid"], row["name"])
        return made

    return await desk._command(request, work)


async def compare(desk: Desk, uid: str, tolerance: float = TOLERANCE) -> Reproduction | None:
    """How a run stands to the one it does again; None where it does none again."""
    return await desk.database.read(lambda c: _compared(c, uid, tolerance))


def _compared(connection: sqlite3.Connection, uid: str, tolerance: float) -> Reproduction | None:
    row = existing(connection, uid)
    original = manifests.original(connection, row["id"])
    if original is None:
        return None
    theirs_row = connection.execute("SELECT * FROM run WHERE uid = ? AND NOT deleting", (original,)).fetchone()
    if theirs_row is None:
        return Reproduction(original_uid=original, verdict="unknown", tolerance=tolerance)
    from engine.control.jobs.row_desk import loss_curve  # numpy: nobody waits for it when the controller starts

    theirs, ours = loss_curve(connection, theirs_row["id"]), loss_curve(connection, row["id"])
    told = [manifests.find(connection, one) for one in (theirs_row["id"], row["id"])]
    found = differences(told[0][1], told[1][1]) if told[0] is not None and told[1] is not None else []
    result = judged(theirs, ours, tolerance)
    ended = row["state"] in ("completed", "failed", "stopped")
    if result.verdict == "equal" and not (ended and theirs.keys() == ours.keys()):
        result.verdict = "waiting" if not ended else ("equal" if ours else "unknown")
    summary = runs.summary(connection, theirs_row["id"])
    return result.model_copy(update={"original": summary, "original_uid": original, "differences": found})


def judged(theirs: dict[int, float], ours: dict[int, float], tolerance: float = TOLERANCE) -> Reproduction:
    """Two courses step by step, as far as both go."""
    first, largest, largest_step = None, 0.0, None
    steps = sorted(theirs.keys() & ours.keys())
    for step in steps:
        before, after = theirs[step], ours[step]
        if before == after or (math.isnan(before) and math.isnan(after)):
            continue
        if first is None:
            first = step
        relative = abs(after - before) / max(abs(before), abs(after))
        if not relative <= largest:  # also where one is not a number
            largest, largest_step = (relative if math.isfinite(relative) else math.inf), step
    verdict: Verdict = "equal" if first is None else "within" if largest <= tolerance else "differs"
    losses = None if first is None else (theirs[first], ours[first])
    return Reproduction(
        verdict=verdict, steps=len(steps), first_step=first, losses=losses, tolerance=tolerance,
        largest=largest if first is not None else 0.0, largest_step=largest_step,
    )  # fmt: skip


async def _told(desk: Desk, uid: str) -> tuple[sqlite3.Row, RunSpec, int, RunManifest, str]:
    def read(connection: sqlite3.Connection) -> tuple[Any, ...]:
        row = existing(connection, uid)
        return row, manifests.find(connection, row["id"]), runs.summary(connection, row["id"]).node

    row, told, node = await desk.database.read(read)
    spec = RunSpec.model_validate_json(row["spec"])
    if not isinstance(spec.job, TrainJob):
        raise UserError("reproduce.not_training")
    if told is None:
        raise Conflict("reproduce.no_manifest", run=row["name"])
    return row, spec, told[0], told[1], node or LOCAL


def _all_fields() -> list[str]:
    return [name for name in RunManifest.model_fields if name != "v"]
