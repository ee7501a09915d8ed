"""The real controller behind the desktop: `engine.client`, started where none runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.client.address import Address, read_address
from engine.client.client import ControllerClient
from engine.client.download import download_log, download_result
from engine.client.launch import connect
from engine.client.stream import RunStream
from engine.contract.api import EditRun, Health, RunDetail, RunPage, RunSummary
from engine.contract.errors import NotFound, Problem, UserError
from engine.contract.events import Resources, StreamMessage
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from forge_desktop.bridge.backend import LogPart, SeriesPart

RESTART_PAUSE_S = 3.0


def connect_to_controller(home: Home) -> ControllerBackend:
    """The controller of a home, started if none runs; raises UserError when it cannot be had."""
    return ControllerBackend(home, connect(home))


class ControllerBackend:
    """Passes the desktop's questions on to a controller; its stream starts the controller again when it is gone."""

    def __init__(self, home: Home, client: ControllerClient) -> None:
        self._home, self._client = home, client
        self._stream: RunStream | None = None
        self._closed = False
        self._restart_after = 0.0

    def health(self) -> Health:
        """Who answers."""
        return self._client.health()

    def runs(self, states: Sequence[str], search: str, offset: int, limit: int) -> RunPage:
        """A page of runs, newest first."""
        return self._client.runs(states=states, search=search, offset=offset, limit=limit)

    def run(self, uid: str) -> RunDetail:
        """Everything about a run besides curves and log."""
        return self._client.run(uid)

    def check(self, spec: RunSpec) -> list[Problem]:
        """What is wrong with an order."""
        return self._client.check(spec).problems

    def create(self, spec: RunSpec, start: bool) -> RunSummary:
        """Make a run."""
        return self._client.create(spec, start)

    def edit(self, uid: str, change: EditRun) -> RunSummary:
        """Change a run."""
        return self._client.edit(uid, change)

    def start(self, uid: str) -> RunSummary:
        """Queue a run."""
        return self._client.start(uid)

    def stop(self, uid: str, save: bool) -> RunSummary:
        """Stop a run."""
        return self._client.stop(uid, save)

    def copy(self, uid: str) -> RunSummary:
        """A draft with the same settings."""
        return self._client.copy(uid)

    def delete(self, uid: str) -> None:
        """Delete a run."""
        self._client.delete(uid)

    def series(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        """Curves of a run."""
        curves = self._client.series(uid, metrics)
        return {name: SeriesPart(part.attempt, part.x, part.t, part.value) for name, part in curves.items()}

    def log(self, uid: str, attempt: int, offset: int, limit: int) -> LogPart:
        """Part of the worker's log; attempt 0 means the latest."""
        piece = self._client.log(uid, attempt or None, offset, limit)
        return LogPart(piece.data, piece.offset, piece.size)

    def download(self, uid: str, artifact: int, folder: Path) -> Path:
        """Save a result into a folder."""
        detail = self._client.run(uid)
        for found in detail.artifacts:
            if found.id == artifact:
                return download_result(self._client, detail, found, folder)
        raise NotFound("artifact.unknown", run=uid, artifact=artifact)

    def save_log(self, uid: str, file: Path) -> Path:
        """Save the whole log as a file."""
        try:
            return download_log(self._client, uid, file)
        except OSError as error:
            detail = error.strerror or str(error)
            raise UserError("desktop.file_unwritable", file=str(file), detail=detail) from error

    def resources(self) -> Resources:
        """Slots and load."""
        return self._client.resources()

    def query(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask a helper process."""
        answer = self._client.query(kind, **params)
        if answer.error is not None:
            raise UserError.from_body(answer.error)
        return answer.result

    def stream(self, since: int, on_line: Callable[[bool], None]) -> Iterator[StreamMessage]:
        """Messages from now on, for ever."""
        self._stream = RunStream(
            self._home,
            since or None,
            locate=self._locate,
            on_online=lambda: on_line(True),
            on_offline=lambda _reason: on_line(False),
        )
        return iter(self._stream)

    def close(self) -> None:
        """End stream and connections."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()
        self._client.close()

    def _locate(self) -> Address | None:
        """Where the controller is; one that is gone is started again, but not in a frenzy."""
        address = read_address(self._home)
        if not self._closed and time.monotonic() >= self._restart_after:
            self._restart_after = time.monotonic() + RESTART_PAUSE_S
            connect(self._home).close()
            address = read_address(self._home)
        return address
