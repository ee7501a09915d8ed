"""Routes that hand out data: curves as Arrow, the log by bytes, results as files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from engine.contract import logfile
from engine.contract.errors import NotFound
from engine.contract.paths import AttemptFolder
from engine.control.api import arrow, files
from engine.control.api.archive import Archive
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


@router.get("/runs/{uid}/series/points")
async def series_points(
    context: Ctx,
    uid: str,
    metric: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
) -> StreamingResponse:
    """Every point of curves as an Arrow stream, one batch a piece; nobody holds all of them."""
    from engine.control.store import pieces  # numpy comes with it

    database = context.controller.database
    run_id = await database.read(lambda c: commands.existing(c, uid)["id"])
    known = await database.read(lambda c: [one.metric for one in metrics.series(c, run_id)])

    def next_piece(connection: sqlite3.Connection, name: str, place: pieces.Place) -> tuple[bytes, pieces.Place | None]:
        found, after = pieces.read(connection, run_id, name, place)
        return (b"" if found is None else arrow.piece(found)), after

    async def stream() -> AsyncIterator[bytes]:
        yield await asyncio.to_thread(arrow.piece_head)
        for name in [one for one in known if not metric or one in metric]:
            place: pieces.Place | None = pieces.Place()
            while place is not None:
                data, place = await database.read(partial(next_piece, name=name, place=place))
                yield data
        yield arrow.END

    return StreamingResponse(stream(), media_type="application/vnd.apache.arrow.stream")


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


@router.get("/runs/{uid}/log/file")
async def log_file(context: Ctx, request: Request, uid: str, attempt: int | None = None) -> Response:
    """The whole log as it is now; it only grows, so a part of it stays good."""
    folder = await _attempt_folder(context, uid, attempt)
    places = [folder.log, context.home.library / uid / "worker.log"] if folder else []
    for path in places:  # the library keeps its end when the working files went
        if await asyncio.to_thread(path.is_file):
            return await asyncio.to_thread(_whole_log, request, path)
    raise NotFound("run.no_log", run=uid)


@router.get("/runs/{uid}/artifacts/{artifact}")
async def artifact(context: Ctx, request: Request, uid: str, artifact: int) -> Response:
    """A result or a checkpoint: a file, or a folder as a zip."""
    found = await context.controller.database.read(
        lambda c: artifacts.find(c, commands.existing(c, uid)["id"], artifact)
    )
    if found is None:
        raise NotFound("artifact.unknown", artifact=artifact, run=uid)
    path = await asyncio.to_thread(files.inside, *found.place(context.home, uid))
    if path is None and await asyncio.to_thread(context.controller.safekeeping.bring_back, uid, found):
        path = await asyncio.to_thread(files.inside, *found.place(context.home, uid))
    if path is None:
        raise NotFound("artifact.gone", artifact=found.path, run=uid)
    return await asyncio.to_thread(_hand_out, request, path, found.sha256)


def _hand_out(request: Request, path: Path, sha256: str) -> Response:
    """A file or folder, whole or from the byte a client asks for. Reads the disk: call it on a thread."""
    sha256 = sha256 or files.fingerprint(path)
    if path.is_dir():
        archive = Archive(path)
        mark, size, name, media = archive.mark(), archive.size, f"{path.name}.zip", "application/zip"
    else:
        found = path.stat()
        mark, size = f"{found.st_size:x}-{found.st_mtime_ns:x}", found.st_size
        name, media = path.name, "application/octet-stream"
    headers = {"ETag": f'"{sha256}-{mark}"', "X-Sha256": sha256, "Content-Disposition": files.disposition(name)}
    if not path.is_dir():
        return FileResponse(path, media_type=media, headers=headers)
    return _from_byte(request, size, archive.pieces, headers, media)


def _whole_log(request: Request, path: Path) -> Response:
    """All of a log that is still there; as long as nothing of it goes, a part of it stays good."""
    _, begin, end = logfile.read(path, 0, 1)
    headers = {"ETag": f'"log-{path.parent.name}-{begin}"', "Content-Disposition": files.disposition("worker.log")}
    headers["X-Sha256"] = files.fingerprint_of(files.log_pieces(path, begin, end))

    def pieces(start: int) -> Iterator[bytes]:
        return files.log_pieces(path, begin + start, end)

    return _from_byte(request, end - begin, pieces, headers, "text/plain; charset=utf-8")


def _from_byte(
    request: Request, size: int, pieces: Callable[[int], Iterator[bytes]], headers: dict[str, str], media: str
) -> Response:
    start = files.first_byte(request.headers.get("range"), request.headers.get("if-range"), headers["ETag"], size)
    headers |= {"Accept-Ranges": "bytes", "Content-Length": str(size - start)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    return StreamingResponse(pieces(start), 206 if start else 200, headers, media)


async def _attempt_folder(context: Context, uid: str, attempt: int | None) -> AttemptFolder | None:
    """The folder of an attempt, of the latest without a number; None before the first."""
    row = await context.controller.database.read(lambda c: commands.existing(c, uid))
    if attempt is None:
        attempt = row["attempt"]
    elif not 1 <= attempt <= row["attempt"]:
        raise NotFound("run.no_attempt", run=uid, attempt=attempt)
    return context.home.attempt(uid, attempt) if attempt else None
