"""Routes about hubs: secrets, and the models in the cache."""

from __future__ import annotations

import asyncio
import json

from fastapi import APIRouter

from engine.contract import model_cache
from engine.contract.clock import now
from engine.contract.errors import Conflict
from engine.contract.hubs import HubAccess
from engine.contract.model_cache import CachedModels
from engine.contract.network import models_of
from engine.contract.run_spec import RunSpec
from engine.contract.secrets import SecretCheck, SecretInfo, Secrets, SetSecret
from engine.contract.states import LIVE
from engine.control.api.context import Context, Ctx
from engine.control.jobs import secret_check
from engine.control.jobs.secrets import PROXY, hub_name
from engine.control.store import audit

router = APIRouter()


@router.get("/secrets")
async def secrets(context: Ctx) -> Secrets:
    """Which secrets are set; never what they are."""
    return await asyncio.to_thread(context.controller.secrets.listed)


@router.put("/secrets/{name:path}")
async def set_secret(context: Ctx, name: str, body: SetSecret) -> SecretInfo:
    """Keep one."""
    found = await asyncio.to_thread(context.controller.secrets.set, name, body.value.get_secret_value())
    await _write_down(context, "secret_set", name)
    return found


@router.delete("/secrets/{name:path}")
async def delete_secret(context: Ctx, name: str) -> SecretInfo:
    """Forget one."""
    found = await asyncio.to_thread(context.controller.secrets.delete, name)
    await _write_down(context, "secret_deleted", name)
    return found


@router.post("/secrets/{name}/check")
async def check_secret(context: Ctx, name: str) -> SecretCheck:
    """Ask the service whether it takes one."""
    known, store = hub_name(name), context.controller.secrets
    value = await asyncio.to_thread(store.get, known)
    login = await asyncio.to_thread(store.get, PROXY)
    return await secret_check.check(known, value, login, HubAccess.of(context.controller.settings))


@router.get("/models/cache")
async def cached_models(context: Ctx) -> CachedModels:
    """What lies in the cache of models."""
    return await asyncio.to_thread(model_cache.listed, context.home)


@router.delete("/models/cache")
async def remove_cached(context: Ctx, hub: str, path: str, commit: str | None = None) -> CachedModels:
    """Remove a model, or one commit of it; the answer is what went."""
    await _refuse_while_in_use(context, hub, path)
    removed = await asyncio.to_thread(model_cache.remove, context.home, hub, path, commit)
    await _write_down(context, "model_removed", f"{hub} {path}")
    return removed


async def _refuse_while_in_use(context: Context, hub: str, path: str) -> None:
    marks = ",".join("?" * len(LIVE))
    query = f"SELECT name, spec FROM run JOIN run_spec ON run_id = id WHERE state IN ({marks})"
    rows = await context.controller.database.read(lambda c: c.execute(query, sorted(LIVE)).fetchall())
    for row in rows:
        job = RunSpec.model_validate_json(row["spec"]).job
        if (hub, path) in [(source.hub, source.path) for source in models_of(job)]:
            raise Conflict("hub.in_use", path=path, run=row["name"])


async def _write_down(context: Context, action: str, target: str) -> None:
    """In the audit: that it was done, not what with."""
    detail = json.dumps({})
    await context.controller.database.write(
        lambda t: audit.append(t, at=now(), actor="local", action=action, target=target, detail=detail), durable=True
    )
