"""What the parts of `ControllerClient` stand on: sending a request, and reading its answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from engine.contract.api import RunSummary
from engine.contract.ids import new_id

M = TypeVar("M", bound=BaseModel)
Trace = Callable[[str, Mapping[str, Any]], object]
"""Hears the name of each step of a request, and what httpx knows of it."""
SLOW_S = 60.0
"""For what the controller asks of a service, or counts on a disk, before it answers."""


class Calls(ABC):
    """Base of the groups of requests that make up `ControllerClient`."""

    @abstractmethod
    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        key: str | None = None,
        sent_only: bool = False,
        timeout: float | None = None,
        data: bytes | None = None,
    ) -> httpx.Response:
        """Send a request, with a body or plain bytes; the answer is never an error."""

    @abstractmethod
    def fetch(
        self,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        offset: int = 0,
        etag: str = "",
        body: BaseModel | None = None,
        timeout: float | None = None,
        trace: Trace | None = None,
    ) -> AbstractContextManager[httpx.Response]:
        """A large answer, or one that comes little by little, to be read in pieces; with a body it is posted.

        With a `trace` it has a connection of its own, of which that hears."""

    @abstractmethod
    def _read(self, answer: httpx.Response, model: type[M]) -> M:
        """The answer's content."""

    def _get(self, path: str, model: type[M], query: Mapping[str, Any] | None = None) -> M:
        return self._read(self._send("GET", path, query=query), model)

    def _change(self, method: str, path: str, body: BaseModel | None = None) -> RunSummary:
        return self._read(self._send(method, path, body=body, key=new_id()), RunSummary)
