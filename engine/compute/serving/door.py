"""What each request passes before it is read and after it is answered: trace, key, counts, size, audit, figures."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
import traceback
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.compute.serving.audit import tell
from engine.compute.serving.desk import Asking, Desk
from engine.compute.serving.errors import answer_of
from engine.compute.serving.keys import check_scope
from engine.compute.serving.tracing import trace_of
from engine.contract import serving
from engine.contract.errors import UserError

PUBLIC = ("/health", "/ready", "/openapi.json")
ANSWERING: dict[str, serving.Scope] = {
    "/v1/chat/completions": "inference", "/v1/completions": "inference", "/v1/embeddings": "embeddings",
    "/v1/tokenize": "inference", "/v1/route": "inference",
}  # fmt: skip
"""What costs time: counted by key, refused while too many are at work."""
CHANGING = ("/v1/adapters", "/v1/load_lora_adapter", "/v1/unload_lora_adapter")
TOLD = ("/v1/status", "/metrics")
BODY_S = 60.0
"""For a request to arrive whole."""
PASSED_OVER = 8 << 20
"""Bytes of a request that is too large which are read, so that its sender hears why."""
GONE = 499
"""Status in audit and figures of a request whose client has left."""


class ClientGone(Exception):
    """Nobody is there to be answered."""


class Door:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self.app, self.desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, path = _headers(scope), self.desk.keys.without(scope["path"])
        asking = _asking(self.desk, scope, headers)
        began, status = time.monotonic(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                if b"x-trace-id" not in names:
                    message["headers"] = [*message["headers"], (b"x-trace-id", asking.trace.encode())]
            await send(message)

        try:
            with self.desk.tracer.span(f"{scope['method']} {path}", headers, asking.trace):
                await self._pass(scope, headers, asking, receive, told)
        except ClientGone:
            status = asking.broken or GONE
        except UserError as error:
            asking.code = error.code
            if not status:
                await answer_of(error, asking.trace)(scope, receive, told)
        except Exception as error:  # noqa: BLE001 - a border: who asked hears of it, the log says where
            where = "".join(traceback.format_tb(error.__traceback__))  # a message may hold what was asked
            tell("bug", logging.ERROR, trace=asking.trace, kind=type(error).__name__, where=where)
            asking.code = "serve.broken"
            if not status:
                await answer_of(UserError("serve.broken", trace=asking.trace), asking.trace)(scope, receive, told)
        finally:
            self._over(scope, path[:200], asking, status or GONE, time.monotonic() - began)

    async def _pass(self, scope: Scope, headers: dict[str, str], asking: Asking, receive: Receive, send: Send) -> None:
        path, desk = scope["path"], self.desk
        if path not in PUBLIC:
            asking.key = desk.keys.asking(headers.get("authorization"))
            asking.known = True
            self._allowed(scope, asking)
        if path not in ANSWERING or scope["method"] != "POST":
            await self.app(scope, await self._body(headers, receive, scope), send)
            return
        desk.admit()
        await desk.counts.request(asking.key)
        desk.admit()
        whole = await self._body(headers, receive, scope)
        desk.admit()  # whoever sends slowly has kept nobody's place meanwhile
        desk.enter()
        try:
            await self.app(scope, whole, send)
        finally:
            desk.leave()

    def _allowed(self, scope: Scope, asking: Asking) -> None:
        path = scope["path"]
        if path in ANSWERING:
            check_scope(asking.key, ANSWERING[path])
        elif path.startswith(CHANGING) and scope["method"] != "GET":
            check_scope(asking.key, "adapters")
        elif path in TOLD:
            check_scope(asking.key, "metrics")

    async def _body(self, headers: dict[str, str], receive: Receive, scope: Scope) -> Receive:
        """The request's body, read whole and no further than the limit; told again to whoever reads it."""
        if scope["method"] in ("GET", "HEAD"):
            return receive
        most = self.desk.served.job.body_kb << 10
        said = headers.get("content-length", "")
        if said.isdigit() and int(said) > most:
            await _passed_over(receive)
            raise UserError("serve.body", limit=self.desk.served.job.body_kb)
        parts, size = list[bytes](), 0
        try:
            async with asyncio.timeout(BODY_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    size += len(message.get("body", b""))
                    if size > most:
                        break
                    self.desk.hold(len(message.get("body", b"")), most)
                    parts.append(message.get("body", b""))
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise UserError("serve.body_slow", seconds=BODY_S) from None
        finally:
            self.desk.arriving -= sum(map(len, parts))
        if size > most:
            await _passed_over(receive)
            raise UserError("serve.body", limit=self.desk.served.job.body_kb)
        whole = b"".join(parts)
        try:
            whole.decode()
        except UnicodeDecodeError as error:
            raise UserError("serve.not_utf8", place=error.start) from None
        return _again(whole, receive)

    def _over(self, scope: Scope, path: str, asking: Asking, status: int, seconds: float) -> None:
        """Audit, log and figures of a request that is over."""
        route: Any = scope.get("route")
        endpoint = getattr(route, "path_format", None) or (scope["path"] if scope["path"] in ANSWERING else "other")
        milliseconds = round(seconds * 1000, 1)
        key, user = asking.key, asking.user
        self.desk.figures.over(endpoint, status, asking.model, key.tenant, endpoint in ANSWERING)
        self.desk.audit.add(
            trace=asking.trace, key_id=key.id if asking.known else "", key_hash=key.hash[:12] if asking.known else "",
            tenant=key.tenant, endpoint=path, method=scope["method"], status=status, ms=milliseconds,
            model=asking.model, tokens=asking.tokens, code=asking.code,
            user=hashlib.sha256(user.encode()).hexdigest()[:12] if user else "",
        )  # fmt: skip
        level = logging.WARNING if status >= 500 else logging.INFO
        tell("request", level, trace=asking.trace, method=scope["method"], path=path, status=status,
             ms=milliseconds, key_id=key.id if asking.known else "", code=asking.code)  # fmt: skip


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _asking(desk: Desk, scope: Scope, headers: dict[str, str]) -> Asking:
    """What is known of a request, from its first word on."""
    if "forge" not in scope:
        trace = trace_of(headers)
        known = desk.keys.without(trace) == trace  # whoever sends a key as its trace is given another one
        scope["forge"] = Asking(trace if known else trace_of({}))
    asking: Asking = scope["forge"]
    return asking


def malformed(desk: Desk, why: str, request: Scope | None = None) -> Response:
    """The answer to what is no HTTP; what never came to the door is in audit, log and figures all the same."""
    error = UserError("serve.not_http", detail=why)
    if request is not None:  # it is told of when it is over
        asking = _asking(desk, request, _headers(request))
        answer = answer_of(error, asking.trace)
        asking.code, asking.broken = error.code, answer.status_code
        return answer
    trace = trace_of({})
    answer = answer_of(error, trace)
    desk.figures.over("other", answer.status_code, "", "", answering=False)
    desk.audit.add(
        trace=trace, key_id="", key_hash="", tenant="", endpoint="", method="", status=answer.status_code, ms=0.0,
        model="", tokens=0, code=error.code, user="",
    )  # fmt: skip
    tell("request", trace=trace, method="", path="", status=answer.status_code, ms=0.0, key_id="", code=error.code)
    return answer


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that tells this body once, then what else comes."""
    told = False

    async def more() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return more


async def _passed_over(receive: Receive) -> None:
    """Read what nobody keeps, for a while: whoever is still sending would not hear the answer."""
    size, until = 0, time.monotonic() + 5.0
    with contextlib.suppress(TimeoutError):
        while size < PASSED_OVER and time.monotonic() < until:
            async with asyncio.timeout(0.5):
                message = await receive()
            size += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return
