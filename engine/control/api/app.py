"""The HTTP application: routes, and how errors become answers."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.contract.errors import ErrorBody, NotFound, Refused, UserError
from engine.control.api import (
    routes_adapters,
    routes_alerts,
    routes_data,
    routes_datasets,
    routes_fleet,
    routes_forecast,
    routes_forensics,
    routes_house,
    routes_hubs,
    routes_listing,
    routes_nodes,
    routes_push,
    routes_recovery,
    routes_runs,
    routes_service,
    routes_serving,
    routes_uploads,
    stream,
)
from engine.control.api.auth import Door
from engine.control.api.context import Context
from engine.control.jobs.commands import problems_of

log = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT)
LOCKED = (errno.EROFS, errno.EACCES, errno.EPERM)


def make_app(context: Context, token: str) -> ASGIApp:
    """The application behind its door."""
    app = FastAPI(title="LoRAForge controller", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = context
    for module in (
        routes_listing,
        routes_runs,
        routes_recovery,
        routes_data,
        routes_service,
        stream,
        routes_house,
        routes_hubs,
        routes_nodes,
        routes_fleet,
        routes_alerts,
        routes_forecast,
        routes_forensics,
        routes_push,
        routes_datasets,
        routes_uploads,
        routes_serving,
        routes_adapters,
    ):
        app.include_router(module.router)
    _add_error_handlers(app, context.home.controller_log)
    return Door(_Counted(app, context), token, context.home.token_file)


def _add_error_handlers(app: FastAPI, log_file: Path) -> None:
    def user_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, UserError)
        return _answer(error.status, error.body())

    def bad_body(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        refused = Refused("request.refused", problems=problems_of(error.errors()))
        return _answer(422, refused.body())

    def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return _answer(404, NotFound("request.no_such_path", path=request.url.path).body())
        return _answer(error.status_code, UserError("request.invalid", detail=str(error.detail)).body())

    def system(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, OSError) and error.errno in FULL:
            return _answer(507, UserError("home.disk_full", home=str(log_file.parents[1])).body())
        if isinstance(error, OSError) and error.errno in LOCKED:
            detail = error.strerror or str(error)
            return _answer(503, UserError("home.unusable", home=str(log_file.parents[1]), detail=detail).body())
        return bug(request, error)

    def bug(request: Request, error: Exception) -> JSONResponse:
        detail = f"{type(error).__name__}: {error}"
        body = UserError("controller.bug", detail=detail, log=str(log_file)).body()
        log.error("%s %s failed", request.method, request.url.path, exc_info=error, extra={"error": body})
        return _answer(500, body)

    handlers: list[tuple[type[Exception], Callable[[Request, Exception], JSONResponse]]] = [
        (UserError, user_error),
        (RequestValidationError, bad_body),
        (HTTPException, plain),
        (OSError, system),
        (Exception, bug),
    ]
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


def _answer(status: int, body: ErrorBody) -> JSONResponse:
    return JSONResponse(body.model_dump(mode="json"), status)


class _Counted:
    """Notes that somebody is there, for the service's idle clock."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        self._context.clients += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._context.clients -= 1
            self._context.last_client = time.monotonic()
