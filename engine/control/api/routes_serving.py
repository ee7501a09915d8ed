"""Routes of instances: where one answers, its keys, and a way through to it that needs no key of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated

import httpx
from fastapi import APIRouter, Query, Response
from fastapi.requests import Request as HttpRequest
from fastapi.responses import StreamingResponse

from engine.contract.errors import UserError
from engine.contract.serving import Instance, LoadAdapter, MadeKey, NewKey, ServeKey
from engine.control.api import queries
from engine.control.api.context import Ctx, Key
from engine.control.jobs.requests import Request

router = APIRouter()
PASSED_ON = ("content-type", "accept", "traceparent", "x-request-id")
PASSED_BACK = ("content-type", "retry-after", "x-trace-id")
CONNECT_S, ANSWER_S = 5.0, 3600.0
ADAPTERS = "v1/adapters"
METHODS = ["GET", "POST", "DELETE"]


@router.get("/runs/{uid}/instance")
async def instance(context: Ctx, uid: str) -> Instance:
    """Whether it answers, and where."""
    return await context.controller.instance(uid)


@router.get("/runs/{uid}/keys")
async def keys(context: Ctx, uid: str) -> list[ServeKey]:
    """Who may ask it."""
    return await context.controller.serve_keys(uid)


@router.post("/runs/{uid}/keys")
async def make_key(context: Ctx, uid: str, body: NewKey) -> MadeKey:
    """A new key: the answer is the only place where it stands."""
    return await context.controller.make_serve_key(uid, body, Request("serve_key", target=uid))


@router.post("/runs/{uid}/keys/{key_id}/rotate")
async def rotate_key(
    context: Ctx, uid: str, key_id: str, hours: Annotated[float, Query(ge=0, le=24 * 365)] = 24.0
) -> MadeKey:
    """Another key in its place; the old one goes on for so many hours."""
    return await context.controller.rotate_serve_key(uid, key_id, hours, Request("serve_key", target=uid))


@router.delete("/runs/{uid}/keys/{key_id}", status_code=204)
async def revoke_key(context: Ctx, uid: str, key_id: str, key: Key = None) -> None:
    """It is refused from now on."""
    await context.controller.revoke_serve_key(uid, key_id, Request("serve_key", key=key, target=uid))


@router.api_route("/runs/{uid}/api/{path:path}", methods=METHODS)
async def through(context: Ctx, uid: str, path: str, request: HttpRequest) -> Response:
    """Pass a request on to the instance, and its answer back as it comes."""
    reached = await context.controller.reached(uid)
    headers = {name: value for name in PASSED_ON if (value := request.headers.get(name))}
    headers["authorization"] = f"Bearer {reached.key}"
    content = await request.body()
    if (request.method, path) == ("POST", ADAPTERS):
        content = await _brought(context, uid, content)
    client = httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S), trust_env=False)
    try:
        asked = client.build_request(
            request.method, f"{reached.url}/{path}", params=request.query_params, headers=headers,
            content=content,
        )  # fmt: skip
        answer = await _unless_left(client.send(asked, stream=True), request)
    except (httpx.HTTPError, ConnectionAbortedError) as error:
        await client.aclose()
        raise UserError("serve.unreachable", run=uid, detail=f"{type(error).__name__}: {error}") from error

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        except httpx.HTTPError:  # it broke off: so does this answer
            return
        finally:
            await answer.aclose()
            await client.aclose()

    back = {name: value for name in PASSED_BACK if (value := answer.headers.get(name))}
    return StreamingResponse(pieces(), answer.status_code, back)


async def _brought(context: Ctx, uid: str, content: bytes) -> bytes:
    """The wish for an adapter with its place over there; what is no such wish is the instance's to refuse."""
    try:
        wish = LoadAdapter.model_validate_json(content)
    except ValueError:
        return content
    path, source = await context.controller.brought(uid, wish.path)
    return wish.model_copy(update={"path": path, "source": source}).model_dump_json().encode()


async def _unless_left(sending: Awaitable[httpx.Response], request: HttpRequest) -> httpx.Response:
    """The beginning of the answer; whoever hangs up before it lets go of the instance too."""
    sent, left = asyncio.ensure_future(sending), asyncio.create_task(queries.gone(request.receive))
    try:
        await asyncio.wait({sent, left}, return_when=asyncio.FIRST_COMPLETED)
        if not sent.done():
            raise ConnectionAbortedError("the client has gone")
        return sent.result()
    finally:
        for task in (sent, left):
            task.cancel()
