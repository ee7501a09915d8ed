"""Routes that look inside a run: rows of a step, a row's course, rankings; and runs that are done again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from fastapi.requests import Request as HttpRequest

from engine.contract.api import QueryAnswer, QueryRequest, RunSummary
from engine.contract.errors import Conflict
from engine.contract.forensics_api import Ranking, RankingKind, RowHistory, RowKey, StepRows
from engine.contract.reproduction import TOLERANCE, Reproduction, ReproductionCheck
from engine.control.api import queries
from engine.control.api.context import Context, Ctx, Key
from engine.control.jobs import reproducing
from engine.control.jobs.requests import Request

if TYPE_CHECKING:
    from engine.control.jobs.row_desk import RowDesk

router = APIRouter()
MOST = 2000


def _desk(context: Context) -> RowDesk:
    from engine.control.jobs.row_desk import RowDesk  # numpy: nobody waits for it when the controller starts

    return RowDesk(context.home, context.controller.database)


@router.get("/runs/{uid}/rows")
async def step_rows(context: Ctx, uid: str, step: Annotated[int, Query(ge=0)]) -> StepRows:
    """What a step learned from."""
    return await _desk(context).step(uid, step)


@router.get("/runs/{uid}/rows/history")
async def history(
    context: Ctx,
    uid: str,
    source: Annotated[int, Query(ge=0)],
    line: int,
    fingerprint: Annotated[str, Query(alias="hash")] = "",
) -> RowHistory:
    """A row's course."""
    return await _desk(context).history(uid, RowKey(source=source, line=line, hash=fingerprint))


@router.get("/runs/{uid}/rows/ranking/{kind}")
async def ranking(
    context: Ctx, uid: str, kind: RankingKind, most: Annotated[int, Query(ge=1, le=MOST)] = 200
) -> Ranking:
    """Rows of one kind, the worst first."""
    return await _desk(context).rank(uid, kind, most)


@router.post("/runs/{uid}/reproduce/check")
async def check(context: Ctx, uid: str, request: HttpRequest) -> ReproductionCheck:
    """What is other today than when the run was made."""
    controller = context.controller
    python = await asyncio.to_thread(lambda: controller.worker_python)
    if python is None:
        raise Conflict("worker.no_environment")

    async def ask(query: QueryRequest) -> QueryAnswer:
        return await queries.ask(python, context.home, query, request.receive)

    return await reproducing.check(controller, uid, ask)


@router.post("/runs/{uid}/reproduce")
async def reproduce(context: Ctx, uid: str, key: Key = None) -> RunSummary:
    """Do it again."""
    return await reproducing.again(context.controller, uid, Request("reproduce", key=key, target=uid))


@router.get("/runs/{uid}/reproduction")
async def reproduction(
    context: Ctx, uid: str, tolerance: Annotated[float, Query(ge=0, le=1)] = TOLERANCE
) -> Reproduction | None:
    """How it stands to the run it does again."""
    return await reproducing.compare(context.controller, uid, tolerance)
