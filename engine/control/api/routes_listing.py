"""Routes about many runs at once: bulk deeds, the queue, every run as a point."""

from __future__ import annotations

from fastapi import APIRouter, Response

from engine.contract.api import RunSummary
from engine.contract.listing import BulkRequest, BulkResult, MoveInQueue
from engine.control.api.context import Ctx, Key
from engine.control.jobs.desk import owner
from engine.control.jobs.requests import Request
from engine.control.store import points

router = APIRouter()
JSON = "application/json"


@router.post("/runs/bulk")
async def bulk(context: Ctx, body: BulkRequest, key: Key = None) -> BulkResult:
    """One deed for many runs."""
    return await context.controller.bulk(body, Request("bulk", key=key, body=body.model_dump_json()))


@router.get("/runs/points")
async def run_points(context: Ctx, search: str = "", project: str = "") -> Response:
    """Ended runs, newest first, as `RunPoints`; written out on a reader's thread, for there may be many."""
    settings = context.controller.settings
    currency = settings.currency if settings.prices else ""
    text = await context.controller.database.read(
        lambda c: points.points(c, search=search, project=project, currency=currency, me=owner())
    )
    return Response(text, media_type=JSON)


@router.get("/queue")
async def queue(context: Ctx) -> Response:
    """All waiting runs in the order they will start, as `Queue`."""
    return Response(await context.controller.queue(), media_type=JSON)


@router.post("/queue/{uid}/move")
async def move(context: Ctx, uid: str, body: MoveInQueue | None = None, key: Key = None) -> RunSummary:
    """Let a waiting run start before another, or last of all."""
    body = body or MoveInQueue()
    request = Request("move", key=key, target=uid, body=body.model_dump_json())
    return await context.controller.move_in_queue(uid, body, request)
