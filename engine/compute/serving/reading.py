"""Bodies of requests as JSON: read as they are meant or refused with what is wrong, never one way of two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from engine.contract.errors import Problem, UserError

MOST_TOLD = 20
AT_ONCE = 64 << 10
"""Bytes that are read in passing; more are read beside the loop that serves everybody."""
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Read(Request):
    """A request whose body was read already."""

    found: Any = None

    async def json(self) -> Any:
        """What was found in it."""
        return self.found


class ReadingRoute(APIRoute):
    """Reads the body itself: the framework takes UTF-16 and the last of two values under a name."""

    def get_route_handler(self) -> Answer:
        """The endpoint, behind the reading."""
        answer = super().get_route_handler()
        if self.body_field is None:
            return answer

        async def reading(request: Request) -> Response:
            read = Read(request.scope, request.receive)
            body = await read.body()
            kind = read.headers.get("content-type", "")
            large = len(body) > AT_ONCE
            read.found = await asyncio.to_thread(json_of, body, kind) if large else json_of(body, kind)
            return await answer(read)

        return reading


def json_of(body: bytes, kind: str) -> Any:
    """The JSON in a body of this Content-Type; refuses, in words, what is none."""
    if not body.strip():
        raise UserError("serve.not_json", detail="its body is empty")
    if not _is_json(kind):
        said = f"it came as '{kind[:80]}'" if kind.strip() else "it does not say what it is"
        raise UserError("serve.not_json", detail=said)
    twice = dict[str, None]()

    def one(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict[str, Any]()
        for name, value in pairs:
            if name in made:
                twice[name] = None
            made[name] = value
        return made

    try:
        found = json.loads(body.decode("utf-8-sig"), object_pairs_hook=one, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise UserError("serve.not_json", detail=f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise UserError("serve.not_json", detail="its brackets stand in each other too deeply") from None
    except ValueError:
        raise UserError("serve.not_json", detail="a number in it has too many digits") from None
    if twice:
        raise UserError("serve.invalid", count=len(twice), problems=[_twice(name) for name in [*twice][:MOST_TOLD]])
    return found


def _is_json(kind: str) -> bool:
    """As the framework has it: application/json, and what is built on it."""
    main, _, sub = kind.partition(";")[0].strip().lower().partition("/")
    return main == "application" and (sub == "json" or sub.endswith("+json"))


def _no_number(name: str) -> Any:
    raise UserError("serve.not_json", detail=f"{name} is no number of it")


def _twice(name: str) -> Problem:
    params = {"detail": "it is given more than once, and it would be chance which one counts"}
    return Problem(code="serve.field", field=name[:200], params=params)
