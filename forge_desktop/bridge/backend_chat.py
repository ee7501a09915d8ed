"""What the playground asks of a controller: an instance for a model, its adapters, answers as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from engine.client.serving import Piece, Stop
from engine.contract.api import RunSummary
from engine.contract.serving import AdapterState, Instance, LoadAdapter, ServeJob, ServeStatus


class ChatBackend(Protocol):
    """Part of a backend. Calls block and raise UserError."""

    def serve(self, job: ServeJob, name: str, tags: Sequence[str]) -> RunSummary:
        """Begin an instance."""

    def instance(self, run: str) -> Instance:
        """Whether it answers by now."""

    def serving_status(self, run: str) -> ServeStatus:
        """How it is doing."""

    def served_adapters(self, run: str) -> list[AdapterState]:
        """The adapters it knows."""

    def load_adapter(self, run: str, adapter: LoadAdapter) -> None:
        """Have an adapter answer under a name."""

    def unload_adapter(self, run: str, name: str) -> None:
        """Let one go."""

    def count_tokens(self, run: str, messages: Sequence[dict[str, str]]) -> tuple[int, int]:
        """Tokens of a prompt, and how many there may be."""

    def chat_stream(self, run: str, body: dict[str, Any], stop: Stop) -> Iterator[Piece]:
        """An answer, piece by piece."""
