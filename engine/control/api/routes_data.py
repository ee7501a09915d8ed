"""Routes that hand out data: curves as Arrow, the log by bytes, results as files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from engine.contract.errors import NotFound
from engine.contract.paths import AttemptFolder
from engine.control.api import arrow, files
from engine.control.api.context import Context, Ctx
from engine.control.jobs import commands
from engine.control.store import artifacts, metrics

router = APIRouter()
MAX_LOG_BYTES = 8 << 20
MAX_BUCKETS = 100_000


@router.get("/runs/{uid}/series")
async def series(
    context: Ctx,
    uid: str,
    metric: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    after_attempt: int | None = None,
    after_step: float | None = None,
    buckets: Annotated[int | None, Query(ge=1, le=MAX_BUCKETS)] = None,
    from_x: float | None = None,
    to_x: float | None = None,
) -> Response:
    """Curves as an Arrow stream, in the order of the journal; with `buckets`, their course at few buckets."""
    after = None if after_attempt is None else (after_attempt, -1.0 if after_step is None else after_step)

    def find(connection: sqlite3.Connection) -> Callable[[], bytes]:
        run_id = commands.existing(connection, uid)["id"]
        if buckets is not None:
            return partial(arrow.view_to_stream, metrics.view(connection, run_id, metric, buckets, from_x, to_x))
        return partial(arrow.to_stream, metrics.read(connection, run_id, metric, after))

    encode = await context.controller.database.read(find)
    return Response(await asyncio.to_thread(encode), media_type="application/vnd.apache.arrow.stream")


@router.get("/runs/{uid}/log")
async def log(
    context: Ctx,
    uid: str,
    attempt: int | None = None,
    offset: int = 0,
    limit: Annotated[int, Query(ge=0, le=MAX_LOG_BYTES)] = 1 << 20,
) -> Response:
    """Bytes of the worker's log; a negative offset counts from the end."""
    folder = await _attempt_folder(context, uid, attempt)
    path = folder.log if folder else None
    if attempt is None and path is not None and not await asyncio.to_thread(path.exists):
        path = context.home.library / uid / "worker.log"  # its end, kept when the working files went
    data, start, size = await asyncio.to_thread(files.read_range, path, offset, limit)
    headers = {"X-Log-Size": str(size), "X-Log-Offset": str(start)}
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/runs/{uid}/artifacts/{artifact}")
async def artifact(context: Ctx, uid: str, artifact: int) -> Response:
    """A result or a checkpoint: a file, or a folder as a zip."""
    found = await context.controller.database.read(
        lambda c: artifacts.find(c, commands.existing(c, uid)["id"], artifact)
    )
    if found is None:
        raise NotFound("artifact.unknown", artifact=artifact, run=uid)
    path = await asyncio.to_thread(files.inside, *found.place(context.home, uid))
    if path is None:
        raise NotFound("artifact.gone", artifact=found.path, run=uid)
    headers = {"X-Sha256": found.sha256}
    if path.is_dir():
        headers["Content-Disposition"] = files.disposition(f"{path.name}.zip")
        return StreamingResponse(files.zipped(path), media_type="application/zip", headers=headers)
    return FileResponse(path, filename=path.name, headers=headers)


async def _attempt_folder(context: Context, uid: str, attempt: int | None) -> AttemptFolder | None:
    """The folder of an attempt, of the latest without a number; None before the first."""
    row = await context.controller.database.read(lambda c: commands.existing(c, uid))
    if attempt is None:
        attempt = row["attempt"]
    elif not 1 <= attempt <= row["attempt"]:
        raise NotFound("run.no_attempt", run=uid, attempt=attempt)
    return context.home.attempt(uid, attempt) if attempt else None
