"""Routes about many runs at once: bulk deeds, the queue, every run as a point."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Response

from engine.contract.api import RunSummary
from engine.contract.listing import BulkRequest, BulkResult, MoveInQueue, Price, Quality
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
async def run_points(
    context: Ctx, search: str = "", project: str = "", price: Price | None = None, quality: Quality | None = None
) -> Response:
    """Ended runs, newest first, as `RunPoints`; with price and quality those that a picture of these shows."""
    settings = context.controller.settings
    currency = settings.currency if settings.prices else ""
    me, database = owner(), context.controller.database
    shown: Callable[..., bytes] = points.points
    if price is not None and quality is not None:
        shown = partial(points.picture, price=price, quality=quality)
    text = await database.read(lambda c: shown(c, search=search, project=project, currency=currency, me=me))
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
