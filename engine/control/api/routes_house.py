"""Routes about worker environments and what the data takes."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from engine.contract.artifact_place import ArtifactsState
from engine.contract.environments import Environments, MakeEnvironment
from engine.contract.storage import Storage
from engine.control.api.context import Ctx

router = APIRouter()


@router.get("/environments")
async def environments(context: Ctx, again: bool = False) -> Environments:
    """All of them; `again` has each interpreter asked anew."""
    control = context.controller
    return await asyncio.to_thread(control.environments.list_all, control.settings, again)


@router.post("/environments")
async def make_environment(context: Ctx, body: MakeEnvironment) -> Environments:
    """Begin to make one, or go on with one."""
    await asyncio.to_thread(context.controller.environments.make, body)
    return await environments(context)


@router.post("/environments/{name}/cancel")
async def cancel_environment(context: Ctx, name: str) -> Environments:
    """End the making of one; what was fetched is kept."""
    await asyncio.to_thread(context.controller.environments.cancel, name)
    return await environments(context)


@router.delete("/environments/{name}")
async def delete_environment(context: Ctx, name: str) -> Environments:
    """Delete one."""
    control = context.controller
    busy = await control.busy()
    await asyncio.to_thread(control.environments.delete, name, control.settings, busy)
    return await environments(context)


@router.get("/storage")
async def storage(context: Ctx, again: bool = False) -> Storage:
    """Where the data lies and what it takes."""
    return await asyncio.to_thread(context.controller.storage.count, again)


@router.get("/artifacts")
async def artifacts(context: Ctx, check: bool = False) -> ArtifactsState:
    """Whether what runs made lies at the place the settings name; `check` tries it with a small file."""
    return await asyncio.to_thread(context.controller.safekeeping.state, check)
