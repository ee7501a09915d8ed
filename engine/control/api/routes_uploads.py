"""Routes by which a file comes to the controller in pieces."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from engine.contract.datasets import NewUpload, UploadView
from engine.control.api.context import Ctx

router = APIRouter()


@router.post("/uploads")
async def begin(context: Ctx, body: NewUpload) -> UploadView:
    """Announce a file. One that is known by its sha256 is gone on with."""
    return await context.controller.uploads.begin(body)


@router.get("/uploads/{uid}")
async def view(context: Ctx, uid: str) -> UploadView:
    """How much of it is here."""
    return await context.controller.uploads.view(uid)


@router.put("/uploads/{uid}")
async def take(context: Ctx, uid: str, request: HttpRequest, offset: Annotated[int, Query(ge=0)]) -> UploadView:
    """The next bytes; 409 with `received` unless they go on from what is here."""
    desk = context.controller.uploads
    try:
        return await desk.take(uid, offset, request.stream())
    except ClientDisconnect:  # what came counts; nobody hears this answer
        return await desk.view(uid)


@router.delete("/uploads/{uid}", status_code=204)
async def delete(context: Ctx, uid: str) -> None:
    """Forget it."""
    await context.controller.uploads.delete(uid)
