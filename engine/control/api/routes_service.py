"""Routes about the controller itself: health, load, settings, helper queries, shutdown."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import APIRouter
from fastapi import Request as HttpRequest

from engine.contract import PROTOCOL_VERSION
from engine.contract.api import Health, QueryAnswer, QueryRequest, Settings
from engine.contract.errors import Conflict, Refused
from engine.contract.hubs import HUBS, HubAccess
from engine.contract.secrets import GivenSecrets
from engine.contract.settings_check import problems_of
from engine.contract.stream import Resources
from engine.control.api import queries
from engine.control.api.context import Context, Ctx, Key
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
    params = await context.controller.datasets.pinned_query(body.params)
    body = body.model_copy(update={"params": params})
    told = await asyncio.to_thread(_told, context, body)
    answer = await queries.ask(python, context.home, body, request.receive, told, context.query_spare)
    if body.kind == "data_statistics" and answer.error is None:
        await context.controller.datasets.keep_measure(params, answer.result or {})
    return answer


def _told(context: Context, query: QueryRequest) -> dict[str, Any]:
    """How the helper reaches hubs, and the secrets it needs for one; told on its stdin, no other way."""
    hub = str(query.params.get("hub", ""))
    if hub not in (*HUBS, "url"):
        return {}
    given = context.controller.secrets.given(hub)
    plain = {name: given.plain(name) for name in GivenSecrets.model_fields}
    access = HubAccess.of(context.controller.settings)
    return {"access": access.model_dump(), "secrets": {name: value for name, value in plain.items() if value}}


@router.post("/shutdown", status_code=202)
async def shutdown(context: Ctx) -> dict[str, bool]:
    """End the controller; runs go on in their processes."""
    context.shut_down()
    return {"ending": True}
