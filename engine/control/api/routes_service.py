"""Routes about the controller itself: health, load, settings, helper queries, shutdown."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter
from fastapi import Request as HttpRequest

from engine.contract import PROTOCOL_VERSION
from engine.contract.api import Health, QueryAnswer, QueryRequest, Settings
from engine.contract.errors import Conflict, Refused
from engine.contract.events import Resources
from engine.contract.settings_check import problems_of
from engine.control.api import queries
from engine.control.api.context import Ctx, Key
from engine.control.jobs.requests import Request

router = APIRouter()


@router.get("/health")
def health(context: Ctx) -> Health:
    """Who answers."""
    spare = context.controller.spare
    return Health(
        version=context.version,
        protocol=PROTOCOL_VERSION,
        pid=os.getpid(),
        home=str(context.home.root),
        started=context.started,
        worker_python=context.controller.worker_python,
        spare=spare.state,
        spare_bytes=spare.bytes,
    )


@router.get("/resources")
async def resources(context: Ctx) -> Resources:
    """Slots and load."""
    return await context.controller.resources()


@router.get("/settings")
async def settings(context: Ctx) -> Settings:
    """The settings."""
    return context.controller.settings


@router.patch("/settings")
async def change_settings(context: Ctx, body: dict[str, Any], key: Key = None) -> Settings:
    """Change the settings that are sent; all or none of them."""
    problems = problems_of(body)
    if problems:
        raise Refused("settings.refused", problems=problems)
    change = Settings.model_validate(body)
    request = Request("settings", key=key, body=change.model_dump_json(exclude_unset=True))
    return await context.controller.change_settings(change, request)


@router.post("/query")
async def query(context: Ctx, body: QueryRequest, request: HttpRequest) -> QueryAnswer:
    """Ask a short-lived helper process."""
    python = context.controller.worker_python
    if python is None:
        raise Conflict("worker.no_environment")
    return await queries.ask(python, context.home, body, request.receive)


@router.post("/shutdown", status_code=202)
async def shutdown(context: Ctx) -> dict[str, bool]:
    """End the controller; runs go on in their processes."""
    context.shut_down()
    return {"ending": True}
