"""Putting a run's result on a hub: the answer comes when it is there; who hangs up ends it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.requests import Request as HttpRequest

from engine.contract.api import QueryRequest
from engine.contract.errors import Conflict, error_of
from engine.contract.push import PushAsked, Pushed
from engine.control.api import queries
from engine.control.api.context import Ctx
from engine.control.jobs import push_desk

router = APIRouter()
LIMIT_S = 24 * 3600.0


@router.post("/runs/{uid}/push")
async def push(context: Ctx, uid: str, body: PushAsked, request: HttpRequest) -> Pushed:
    """Push it now."""
    controller = context.controller
    python = await asyncio.to_thread(lambda: controller.worker_python)
    if python is None:
        raise Conflict("worker.no_environment")
    spec, folder = await controller.database.read(lambda c: push_desk.found(c, context.home, uid))
    wanted = push_desk.target(spec, body)
    told = await asyncio.to_thread(push_desk.told, controller, wanted.hub)
    query = QueryRequest(kind="push_result", params={"folder": folder, "push": wanted.model_dump()})
    answer = await queries.ask(python, context.home, query, request.receive, told, limit=LIMIT_S)
    if answer.error is not None:
        raise error_of(answer.error, answer.status)
    return Pushed.model_validate(answer.result)
