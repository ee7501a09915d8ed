"""Who may talk to the controller: holders of the token, from this computer, by its own name."""

from __future__ import annotations

import hmac
import json
import secrets
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from engine.contract.durable import write_durably
from engine.contract.errors import UserError

TOKEN_BYTES = 32
HOSTS = ("127.0.0.1", "localhost")


def make_token(path: Path) -> str:
    """The token in the file, or a new one; the file is readable by its owner only."""
    try:
        path.chmod(0o600)
        token = path.read_text().strip()
        if len(token) == 2 * TOKEN_BYTES and all(character in "0123456789abcdef" for character in token):
            return token
    except FileNotFoundError:
        pass
    token = secrets.token_hex(TOKEN_BYTES)
    write_durably(path, token.encode(), 0o600)
    return token


class Door:
    """ASGI middleware in front of everything, the WebSocket included."""

    def __init__(self, app: ASGIApp, token: str, token_file: Path) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._file = token_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").rpartition(":")[0] or headers.get(b"host", b"").decode(
            "latin-1"
        )
        if host not in HOSTS:  # a page in a browser that made its own name point here
            await _refuse(scope, receive, send, 403, UserError("request.host", host=host))
        elif not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            await _refuse(scope, receive, send, 401, UserError("controller.unauthorised", file=str(self._file)))
        else:
            await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, error: UserError) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps(error.body().model_dump(mode="json")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
