"""Routes about runs: list, make, look at, change, start, stop, copy, delete."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response

from engine.contract import logfile
from engine.contract.api import CheckResult, CreateRun, Diagnosis, EditRun, RunDetail, RunPage, RunSummary, StopRun
from engine.contract.config_file import check_spec, to_yaml
from engine.contract.errors import NotFound, UserError
from engine.contract.preflight import check_files
from engine.contract.run_spec import AttemptOrder, RunConfig, RunSpec, TrainJob
from engine.contract.states import RunState
from engine.control.api.context import Ctx, Key
from engine.control.jobs import commands
from engine.control.jobs.desk import owner
from engine.control.jobs.diagnosis import Evidence, diagnose, read_log
from engine.control.jobs.requests import Request
from engine.control.store import details, run_list

router = APIRouter()


@router.get("/runs")
async def list_runs(
    context: Ctx,
    state: Annotated[list[RunState], Query()] = [],  # noqa: B006 - FastAPI copies it
    search: str = "",
    project: str = "",
    sort: str = "created",
    descending: bool = True,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=0, le=run_list.MAX_PAGE)] = 100,
) -> RunPage:
    """One page of runs."""
    if sort not in run_list.SORTS:
        raise UserError("request.sort", sort=sort, choices=", ".join(run_list.SORTS))
    return await context.controller.database.read(
        lambda c: run_list.page(
            c, states=[str(one) for one in state], search=search, project=project, sort=sort, descending=descending,
            offset=offset, limit=limit, me=owner(),
        )
    )  # fmt: skip


@router.post("/runs")
async def create(context: Ctx, body: CreateRun, key: Key = None) -> RunSummary:
    """Make a run, and start it unless it is to stay a draft."""
    request = Request("create", key=key, body=body.model_dump_json())
    return await context.controller.create(body.spec, body.start, request)


@router.post("/runs/check")
async def check(context: Ctx, spec: RunSpec) -> CheckResult:
    """What is wrong with an order, without making a run of it."""
    settled, problems = await context.controller.settled(spec)
    found = await asyncio.to_thread(lambda: [*check_spec(settled), *check_files(settled)])
    of_packages = await context.controller.package_problems(settled)
    return CheckResult(
        problems=[*found, *context.controller.placement_problems(settled), *problems, *of_packages],
        missing=await context.controller.packages_absent(settled),
    )


@router.get("/runs/{uid}")
async def detail(context: Ctx, uid: str) -> RunDetail:
    """Everything a run page shows besides curves and log."""
    found = await context.controller.database.read(lambda c: details.detail(c, _existing(c, uid)["id"]))
    if found.run.attempt:
        path = context.home.attempt(uid, found.run.attempt).log
        found.log_bytes = await asyncio.to_thread(logfile.size, path)
        if found.run.error is not None:
            found.diagnosis = await asyncio.to_thread(_diagnose, found, path)
    return found


def _diagnose(found: RunDetail, log: Path) -> Diagnosis:
    readings = {series.metric: series.last for series in found.series if series.last is not None}
    device = str(found.attempts[-1].plan.get("device", "")) if found.attempts else ""
    run = found.run
    return diagnose(Evidence(found.spec, run.reason, run.error, read_log(log), readings, device))


@router.patch("/runs/{uid}")
async def edit(context: Ctx, uid: str, body: EditRun, key: Key = None) -> RunSummary:
    """Change a draft's spec, a priority, a name, tags."""
    return await context.controller.edit(uid, body, Request("edit", key=key, target=uid, body=body.model_dump_json()))


@router.post("/runs/{uid}/start")
async def start(context: Ctx, uid: str, key: Key = None) -> RunSummary:
    """Put a run into the queue."""
    return await context.controller.start(uid, Request("start", key=key, target=uid))


@router.post("/runs/{uid}/stop")
async def stop(context: Ctx, uid: str, body: StopRun | None = None, key: Key = None) -> RunSummary:
    """End a run, keeping what it learned unless told otherwise."""
    save = body.save if body else True
    return await context.controller.stop(uid, save, Request("stop", key=key, target=uid, body=str(save)))


@router.post("/runs/{uid}/copy")
async def copy(context: Ctx, uid: str, goes_on: bool = False, key: Key = None) -> RunSummary:
    """A draft with the same spec; `goes_on`: it begins with the adapter the run has made."""
    asked = Request("copy", key=key, target=uid, body="goes_on" if goes_on else "")
    return await context.controller.copy(uid, asked, goes_on)


@router.delete("/runs/{uid}", status_code=204)
async def delete(context: Ctx, uid: str, key: Key = None) -> None:
    """Remove a run with everything that belongs to it."""
    await context.controller.delete(uid, Request("delete", key=key, target=uid))


@router.get("/runs/{uid}/config")
async def config(context: Ctx, uid: str, attempt: int | None = None) -> Response:
    """The run config as people write it; of an attempt, the one it was started with, while its folder is there."""
    row = await context.controller.database.read(lambda c: _existing(c, uid))
    spec = RunSpec.model_validate_json(row["spec"])
    if attempt is not None:
        order = await asyncio.to_thread(_order_of, context.home.attempt(uid, attempt).order)
        if order is None:
            raise NotFound("run.no_attempt", run=uid, attempt=attempt)
        spec = order.spec
    if not isinstance(spec.job, TrainJob):
        raise NotFound("run.no_config", run=uid, kind=spec.kind)
    return Response(to_yaml(RunConfig.from_spec(spec)), media_type="application/yaml; charset=utf-8")


def _order_of(file: Path) -> AttemptOrder | None:
    """What an attempt was told, if its folder is still there."""
    try:
        return AttemptOrder.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None


def _existing(connection: sqlite3.Connection, uid: str) -> sqlite3.Row:
    return commands.existing(connection, uid)
