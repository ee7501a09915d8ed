"""The real controller's answers for the playground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.client.client import ControllerClient
from engine.client.serving import Piece, Stop
from engine.contract.api import RunSummary
from engine.contract.serving import AdapterState, Instance, LoadAdapter, ServeJob, ServeStatus


class ControllerChat:
    """Passes on what the playground asks for."""

    _client: ControllerClient

    def serve(self, job: ServeJob, name: str, tags: Sequence[str]) -> RunSummary:
        """Begin an instance."""
        return self._client.serve(job, name, tags)

    def instance(self, run: str) -> Instance:
        """Whether it answers by now."""
        return self._client.instance(run)

    def serving_status(self, run: str) -> ServeStatus:
        """How it is doing."""
        return self._client.serving_status(run)

    def served_adapters(self, run: str) -> list[AdapterState]:
        """The adapters it knows."""
        return self._client.served_adapters(run)

    def load_adapter(self, run: str, adapter: LoadAdapter) -> None:
        """Have an adapter answer under a name."""
        self._client.load_adapter(run, adapter)

    def unload_adapter(self, run: str, name: str) -> None:
        """Let one go."""
        self._client.unload_adapter(run, name)

    def count_tokens(self, run: str, messages: Sequence[dict[str, str]]) -> tuple[int, int]:
        """Tokens of a prompt, and how many there may be."""
        return self._client.count_tokens(run, messages)

    def chat_stream(self, run: str, body: dict[str, Any], stop: Stop) -> Iterator[Piece]:
        """An answer, piece by piece."""
        return self._client.chat_stream(run, body, stop)
