"""A line to a Docker engine, whichever way it goes. Everything that asks an engine goes through one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Answer = TypeVar("Answer")
QUICK_S = 10.0
"""How long an engine may take to answer a question that needs no work."""
LONG_S = 600.0
"""How long copying, saving and loading may be silent."""


class Link(Protocol):
    """One node's engine. Its methods wait: call them on a thread; they may be called from several at once."""

    node: str

    def ask(self, work: Callable[[Any], Answer], timeout: float = QUICK_S) -> Answer:
        """Do `work` with a `docker.APIClient` of its own time-out.

        Raises `Unreachable` (nobody answers: nothing is known about containers then), or another `UserError` that
        says in plain words what the engine or the way to it refused; `docker.errors.NotFound` passes through.
        """

    def stream(self, work: Callable[[Any], Answer]) -> Answer:
        """The same with a client whose reads may wait for long; for following logs and copying."""

    def forget(self) -> None:
        """Drop connections that may be dead; the next question connects anew."""

    def close(self) -> None:
        """End tunnels and connections."""
