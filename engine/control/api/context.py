"""What every route needs: the controller, and who answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Header
from fastapi.requests import HTTPConnection

from engine.contract.paths import Home
from engine.control.executors.query_spare import QuerySpare
from engine.control.jobs.controller import Controller


@dataclass
class Context:
    """Shared by all requests."""

    controller: Controller
    home: Home
    version: str
    started: float
    shut_down: Callable[[], None] = lambda: None
    """Ends the service soon."""
    clients: int = 0
    """Requests and streams that are being served."""
    query_spare: QuerySpare = field(default_factory=QuerySpare)
    """Answers queries that need a tokenizer."""
    last_client: float = field(default_factory=time.monotonic)


def _context(connection: HTTPConnection) -> Context:
    return cast(Context, connection.app.state.context)


Ctx = Annotated[Context, Depends(_context)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
