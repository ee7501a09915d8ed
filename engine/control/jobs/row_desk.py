"""What the API asks about single rows of a run: a step's rows, a row's course, rankings. Files are read on a thread."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import numpy as np

from engine.contract.errors import NotFound
from engine.contract.forensics_api import Ranking, RankingKind, RowHistory, RowKey, RowOfStep, StepRows
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec, TrainJob
from engine.control.jobs import row_ranking, row_reading
from engine.control.jobs.commands import existing
from engine.control.jobs.row_reading import Course
from engine.control.store import metrics
from engine.control.store.database import Database

VALUES = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "step_seconds")
NEAR_S = 30.0
"""A reading of the machine counts for a step that is no further from it."""


class RowDesk:
    """Of one controller."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home, self._database = home, database

    async def step(self, uid: str, step: int) -> StepRows:
        """The rows of a step, or of the nearest one that has some."""
        row, names = await self._run(uid)
        course = await self._course(row)
        found = await asyncio.to_thread(rows_of_step, course, step)
        found.datasets = names
        at, values, device = await self._database.read(lambda c: moment(c, row["id"], found.step, found.attempt))
        return found.model_copy(update={"at": at, "values": values, "device": device})

    async def history(self, uid: str, key: RowKey) -> RowHistory:
        """A row's course."""
        row, _ = await self._run(uid)
        course = await self._course(row)
        found = await asyncio.to_thread(row_ranking.history, course, key)
        if found is None:
            raise NotFound("rows.unknown", line=key.line, source=key.source + 1)
        return found

    async def rank(self, uid: str, kind: RankingKind, most: int) -> Ranking:
        """Rows of one kind."""
        row, names = await self._run(uid)
        course = await self._course(row)
        found = await asyncio.to_thread(row_ranking.rank, course, kind, most)
        return found.model_copy(update={"datasets": names})

    async def _run(self, uid: str) -> tuple[sqlite3.Row, list[str]]:
        def read(connection: sqlite3.Connection) -> tuple[sqlite3.Row, str]:
            row = existing(connection, uid)
            return row, row["spec"]

        row, spec = await self._database.read(read)
        job = RunSpec.model_validate_json(spec).job
        return row, [one.path for one in job.data.train] if isinstance(job, TrainJob) else []

    async def _course(self, row: sqlite3.Row) -> Course:
        course = await asyncio.to_thread(row_reading.read, self._home, row["uid"], row["attempt"])
        if not len(course.step):
            raise NotFound("rows.none", run=row["name"])
        return course


def rows_of_step(course: Course, step: int) -> StepRows:
    """Of the step, or of the nearest; the highest loss first."""
    steps = np.unique(course.step)
    nearest = int(steps[np.argmin(np.abs(steps - step))])
    found = np.flatnonzero(course.step == nearest)
    found = found[np.argsort(-np.nan_to_num(course.loss[found], nan=np.inf), kind="stable")]
    rows = [
        RowOfStep(key=course.key(int(course.row[at])), loss=float(course.loss[at]), tokens=int(course.tokens[at]))
        for at in found
    ]
    return StepRows(step=nearest, attempt=int(course.attempt[found[0]]), steps=len(steps), rows=rows)


def moment(
    connection: sqlite3.Connection, run_id: int, step: int, attempt: int
) -> tuple[float | None, dict[str, float], dict[str, float]]:
    """When a step was, what the curves say there, and the machine's reading next to it."""
    points = metrics.read(connection, run_id)
    at: float | None = None
    values, device = dict[str, float](), dict[str, float]()
    for one in points:
        if one.axis == "step" and one.metric in VALUES:
            place = np.flatnonzero((np.asarray(one.x) == step) & (np.asarray(one.attempt) == attempt))
            if len(place):
                values[one.metric], at = float(one.value[place[-1]]), float(one.t[place[-1]])
    if at is None:
        return None, values, device
    for one in points:
        if one.axis == "time" and len(one.t):
            nearest = int(np.argmin(np.abs(np.asarray(one.t) - at)))
            if abs(float(one.t[nearest]) - at) <= NEAR_S:
                device[one.metric] = float(one.value[nearest])
    return at, values, device


def loss_curve(connection: sqlite3.Connection, run_id: int) -> dict[int, float]:
    """The loss of each step, as the curve shows it: a later attempt counts from its first step on."""
    found: Any = next(iter(metrics.read(connection, run_id, ["loss"])), None)
    if found is None:
        return {}
    shown = dict[int, float]()
    attempts, steps = np.asarray(found.attempt), np.asarray(found.x)
    for attempt in np.unique(attempts):
        mine = attempts == attempt
        first = int(steps[mine].min())
        shown = {step: loss for step, loss in shown.items() if step < first}
        shown.update(zip(steps[mine].astype(int).tolist(), np.asarray(found.value)[mine].tolist(), strict=True))
    return shown
