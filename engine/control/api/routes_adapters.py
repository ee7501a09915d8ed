"""Routes of the library of adapters."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.requests import Request as HttpRequest
from fastapi.responses import FileResponse

from engine.contract.adapter_library import AdapterEntry, AdapterShelf, ImportAdapter
from engine.contract.api import QueryRequest
from engine.contract.errors import Conflict, NotFound, error_of
from engine.contract.lora_tools import AdapterView, LookAtAdapter, WriteAdapter
from engine.control.api import queries
from engine.control.api.context import Context, Ctx
from engine.control.jobs.adapter_desk import AdapterDesk

router = APIRouter()
LIMIT_S = 1800.0


def _desk(context: Context) -> AdapterDesk:
    return AdapterDesk(context.home, context.controller.database)


@router.get("/adapters")
async def shelf(context: Ctx) -> AdapterShelf:
    """All adapters of runs, and those that were brought in."""
    return await asyncio.to_thread(_desk(context).shelf)


@router.post("/adapters")
async def bring_in(context: Ctx, body: ImportAdapter, request: HttpRequest) -> AdapterEntry:
    """Read, check and keep an adapter; the answer comes when it is there."""
    desk = _desk(context)
    aside = await asyncio.to_thread(desk.place_aside)
    order = WriteAdapter(
        path=body.path, to=str(aside), base=body.base, name=body.name, description=body.description,
        licence=body.licence,
    )  # fmt: skip
    try:
        view = await _asked(context, "write_adapter", order.model_dump(), request)
        return await asyncio.to_thread(desk.take_in, aside, view)
    finally:
        await asyncio.to_thread(aside.unlink, missing_ok=True)


@router.get("/adapters/{adapter_id:path}/view")
async def view(context: Ctx, adapter_id: str, request: HttpRequest) -> AdapterView:
    """One of them, module by module; its values are read and checked."""
    one = await asyncio.to_thread(_desk(context).found, adapter_id)
    return await _asked(context, "inspect_adapter", LookAtAdapter(path=one.path, verify=True).model_dump(), request)


@router.get("/adapters/{adapter_id:path}/file")
async def file(context: Ctx, adapter_id: str) -> FileResponse:
    """Its file."""
    one = await asyncio.to_thread(_desk(context).found, adapter_id)
    if one.missing:
        raise NotFound("adapters.file_missing", name=one.name, path=one.path)
    return FileResponse(one.path, media_type="application/vnd.apache.arrow.file", filename=f"{one.name}.lora.arrow")


@router.delete("/adapters/{adapter_id:path}", status_code=204)
async def remove(context: Ctx, adapter_id: str) -> None:
    """Forget one that was brought in."""
    await asyncio.to_thread(_desk(context).remove, adapter_id)


async def _asked(context: Context, kind: str, params: dict[str, object], request: HttpRequest) -> AdapterView:
    python = await asyncio.to_thread(lambda: context.controller.worker_python)
    if python is None:
        raise Conflict("worker.no_environment")
    query = QueryRequest(kind=kind, params=params)
    answer = await queries.ask(python, context.home, query, request.receive, limit=LIMIT_S)
    if answer.error is not None:
        raise error_of(answer.error, answer.status)
    return AdapterView.model_validate(answer.result)
