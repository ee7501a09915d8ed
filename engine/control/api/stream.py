"""The WebSocket: hello, stored events after the client's cursor, then everything as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import sqlite3

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.contract import PROTOCOL_VERSION
from engine.contract.api import RunSummary
from engine.contract.stream import Hello, RunChanged, RunDeleted, RunEvent, StreamMessage
from engine.control.api.context import Context, Ctx
from engine.control.jobs.news import Subscriber
from engine.control.store import events, runs

log = logging.getLogger(__name__)
router = APIRouter()
BATCH_S = 0.01
"""What happens within it travels together. Short, since each run is read no more than 30 times a second as it is."""
REPLAY_PAGE = 500
TRY_AGAIN = 1013
GOING_AWAY = 1001
SHOWN_AS_RUN = ("state", "edited", "stop_asked", "pause_asked", "mark", "files")


@router.websocket("/stream")
async def stream(websocket: WebSocket, context: Ctx, since: int | None = None) -> None:
    """Serve one client until it leaves, falls too far behind, or the controller ends."""
    await websocket.accept()
    subscriber = context.controller.hub.subscribe()  # before the replay, so that nothing falls between
    leaving = asyncio.create_task(_until_left(websocket))
    sending = asyncio.create_task(_send_all(websocket, context, subscriber, since))
    try:
        await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        context.controller.hub.unsubscribe(subscriber)
        for task in (leaving, sending):
            task.cancel()
        _, outcome = await asyncio.gather(leaving, sending, return_exceptions=True)
        if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect):
            log.error("a stream broke off", exc_info=outcome)
    if not leaving.cancelled():
        return
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close(TRY_AGAIN if subscriber.lagging else GOING_AWAY)


async def _until_left(websocket: WebSocket) -> None:
    """What a client sends means nothing; that it leaves does."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass


async def _send_all(websocket: WebSocket, context: Context, subscriber: Subscriber, since: int | None) -> None:
    database = context.controller.database
    newest = await database.read(events.latest)
    start = newest if since is None else min(since, newest)
    hello = Hello(version=context.version, protocol=PROTOCOL_VERSION, cursor=start)
    await websocket.send_text(hello.model_dump_json())
    while start < newest:
        page, start = await database.read(functools.partial(replay, after=start, until=newest))
        for message in page:
            await websocket.send_text(message.model_dump_json())
    while not subscriber.closed and not subscriber.lagging:
        await subscriber.ready.wait()
        for message in subscriber.take():
            cursor = getattr(message, "cursor", None)
            if cursor is None or cursor > newest:
                await websocket.send_text(message.model_dump_json())
        await asyncio.sleep(BATCH_S)


def replay(connection: sqlite3.Connection, after: int, until: int) -> tuple[list[StreamMessage], int]:
    """A page of stored events as messages, and the cursor to go on from. Runs appear as they are now."""
    rows = events.after(connection, after, until, REPLAY_PAGE)
    summaries: dict[int, RunSummary | None] = {}
    messages = [message for row in rows if (message := _message(connection, row, summaries)) is not None]
    return messages, rows[-1]["cursor"] if len(rows) == REPLAY_PAGE else until


def _message(
    connection: sqlite3.Connection, row: sqlite3.Row, summaries: dict[int, RunSummary | None]
) -> StreamMessage | None:
    cursor, at, body, run_id = row["cursor"], row["at"], json.loads(row["body"]), row["run_id"]
    if row["kind"] == "deleted":
        return RunDeleted(cursor=cursor, at=at, run=body["run"])
    if run_id not in summaries:
        there = connection.execute("SELECT 1 FROM run WHERE id = ?", (run_id,)).fetchone()
        summaries[run_id] = runs.summary(connection, run_id) if there else None
    run = summaries[run_id]
    if run is None:
        return None
    if row["kind"] in SHOWN_AS_RUN:
        return RunChanged(cursor=cursor, at=at, actor=row["actor"] or "", run=run)
    return RunEvent(
        cursor=cursor, at=at, run=run.uid, attempt=row["attempt"], kind=row["kind"], level=row["level"], body=body
    )
