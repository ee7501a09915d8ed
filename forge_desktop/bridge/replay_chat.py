"""A replay's instances: their runs are played here, what they answer comes from whomever `instance_client` asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from engine.client.client import ControllerClient
from engine.client.serving import Piece, Stop
from engine.contract.api import RunSummary
from engine.contract.errors import Unreachable
from engine.contract.ids import new_id
from engine.contract.run_spec import RunSpec
from engine.contract.serving import AdapterState, Instance, LoadAdapter, ServeJob, ServeStatus
from engine.contract.states import Phase, RunState
from engine.contract.stream import RunChanged, StreamMessage
from forge_desktop.bridge.replayed import Played


class ReplayChat:
    """Tests put a client of a small server there."""

    _runs: dict[str, Played]
    _lock: threading.RLock

    def __init__(self) -> None:
        super().__init__()
        self.instance_client: ControllerClient | None = None
        self.served: list[ServeJob] = []
        """What `serve` was asked for."""
        self.serves_at_once = True
        """False: the run waits in the queue until a test moves it."""

    def serve(self, job: ServeJob, name: str, tags: Sequence[str]) -> RunSummary:
        """A run that has its model loaded at once, unless a test wants it otherwise."""
        self._answer()
        self.served.append(job)
        state = RunState.RUNNING if self.serves_at_once else RunState.PREPARING
        run = RunSummary(
            uid=new_id(), name=name, project="default", owner="", kind="serve", lane=job.lane, state=state,
            phase=None if self.serves_at_once else Phase.LOADING, model=job.model.path, tags=list(tags), created=0.0,
        )  # fmt: skip
        with self._lock:
            self._runs[run.uid] = Played(run, RunSpec.model_construct(name=name, tags=list(tags), job=job))
            self._tell(RunChanged(cursor=self._next(), at=0.0, run=run))
        return run

    def instance(self, run: str) -> Instance:
        """As the controller does."""
        return self._client().instance(run)

    def serving_status(self, run: str) -> ServeStatus:
        """As the controller does."""
        return self._client().serving_status(run)

    def served_adapters(self, run: str) -> list[AdapterState]:
        """As the controller does."""
        return self._client().served_adapters(run)

    def load_adapter(self, run: str, adapter: LoadAdapter) -> None:
        """As the controller does."""
        self._client().load_adapter(run, adapter)

    def unload_adapter(self, run: str, name: str) -> None:
        """As the controller does."""
        self._client().unload_adapter(run, name)

    def count_tokens(self, run: str, messages: Sequence[dict[str, str]]) -> tuple[int, int]:
        """As the controller does."""
        return self._client().count_tokens(run, messages)

    def chat_stream(self, run: str, body: dict[str, Any], stop: Stop) -> Iterator[Piece]:
        """As the controller does."""
        return self._client().chat_stream(run, body, stop)

    def _client(self) -> ControllerClient:
        self._answer()
        if self.instance_client is None:
            raise Unreachable("controller.unreachable", detail="Nothing is served.", log="")
        return self.instance_client

    def _answer(self) -> None:
        raise NotImplementedError

    def _tell(self, message: StreamMessage) -> None:
        raise NotImplementedError

    def _next(self) -> int:
        raise NotImplementedError
