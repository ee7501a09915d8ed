"""A line to a Docker engine, whichever way it goes. Everything that asks an engine goes through one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from engine.contract.errors import UserError

Answer = TypeVar("Answer")
QUICK_S = 10.0
"""How long an engine may take to answer a question that needs no work."""
LONG_S = 600.0
"""How long copying, saving and loading may be silent."""


class EngineRefused(UserError):
    """The engine was reached and said no. `answer` is its HTTP status (409: conflict), `detail` its own words."""

    status = 502

    def __init__(self, code: str, /, *, answer: int = 0, detail: str = "", **params: Any) -> None:
        super().__init__(code, answer=answer, detail=detail, **params)
        self.answer = answer
        self.detail = detail


class LinkSecrets(Protocol):
    """Where keys that a profile names as `keyring:NAME` are kept."""

    def get(self, reference: str) -> str | bytes:
        """The key or certificate of that name; empty where there is none."""


class Link(Protocol):
    """One node's engine. Its methods wait: call them on a thread; they may be called from several at once.

    Whatever is in the way raises `Unreachable` with a code that names it (`node.no_answer`, `node.server_expired`,
    `node.host_changed` …): nothing is known about containers then, and nothing has failed. What the engine itself
    refuses raises `EngineRefused`; only `docker.errors.NotFound` (and `ImageNotFound`) pass through as they are.
    Errors that `work` raises for other reasons, such as a full disk here, pass through too. A stream is read within
    `work`: what is read of it afterwards breaks without such an explanation.
    """

    node: str

    def ask(self, work: Callable[[Any], Answer], timeout: float = QUICK_S) -> Answer:
        """Do `work` with a `docker.APIClient` of its own time-out.

        Work that only reads (GET) is done once more where an idle connection turns out to be dead.
        """

    def stream(self, work: Callable[[Any], Answer]) -> Answer:
        """The same with a client whose reads may wait for long; for following logs and copying."""

    def alone(self, work: Callable[[Any], Answer]) -> Answer:
        """The same with a client that is never anybody else's: whoever keeps its connection closes it."""

    @property
    def forwards(self) -> bool:
        """It leads to the node's own 127.0.0.1 too."""

    def forward(self, port: int) -> Any:
        """A port of the node's 127.0.0.1 as one of this computer (`ports.Port`); None where no way leads there."""

    def forget(self) -> None:
        """Drop connections that may be dead, and waits after failures; the next question connects anew."""

    def close(self) -> None:
        """End tunnels and connections."""
