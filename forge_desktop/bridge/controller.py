"""The real controller behind the desktop: `engine.client`, started where none runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx

from engine.client.address import Address, check_protocol, read_address
from engine.client.client import ControllerClient
from engine.client.download import Exists, Item, Tell, download
from engine.client.launch import connect, start_controller
from engine.client.stream import RunStream
from engine.contract.api import CheckResult, EditRun, Health, ResumeRun, RunDetail, RunSummary, SampleNow
from engine.contract.errors import Unreachable, UserError
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.stream import Resources, StreamMessage
from forge_desktop.bridge.backend import LogPart, SeriesPart
from forge_desktop.bridge.controller_adapters import ControllerAdapters
from forge_desktop.bridge.controller_alerts import ControllerAlerts
from forge_desktop.bridge.controller_artifacts import ControllerArtifacts
from forge_desktop.bridge.controller_chat import ControllerChat
from forge_desktop.bridge.controller_compare import ControllerCompare
from forge_desktop.bridge.controller_datasets import ControllerDatasets
from forge_desktop.bridge.controller_fleet import ControllerFleet
from forge_desktop.bridge.controller_forecast import ControllerForecast
from forge_desktop.bridge.controller_forensics import ControllerForensics
from forge_desktop.bridge.controller_instance import ControllerInstance
from forge_desktop.bridge.controller_listing import ControllerListing
from forge_desktop.bridge.controller_nodes import ControllerNodes
from forge_desktop.bridge.controller_notices import ControllerNotices
from forge_desktop.bridge.controller_series import ControllerSeries
from forge_desktop.bridge.controller_settings import ControllerSettings
from forge_desktop.bridge.controller_watching import ControllerWatching

RESTART_PAUSE_S = 5.0
PROBE_S = 2.0
TIMEOUT_S = 15.0
"""Of a request: more than the ten seconds a helper query may take."""


def connect_to_controller(home: Home) -> ControllerBackend:
    """The controller of a home, started if none runs; raises UserError when it cannot be had."""
    if _look(home) == "hangs":
        detail = f"It did not answer within {PROBE_S:.0f} s."
        raise Unreachable("controller.unreachable", detail=detail, log=str(home.controller_log))
    connect(home).close()
    return ControllerBackend(home, ControllerClient(home, timeout=TIMEOUT_S))


class ControllerBackend(
    ControllerNotices,
    ControllerWatching,
    ControllerSettings,
    ControllerSeries,
    ControllerListing,
    ControllerCompare,
    ControllerChat,
    ControllerAlerts,
    ControllerNodes,
    ControllerFleet,
    ControllerDatasets,
    ControllerForecast,
    ControllerForensics,
    ControllerArtifacts,
    ControllerAdapters,
    ControllerInstance,
):
    """Passes the desktop's questions on to a controller; its stream starts the controller again when it is gone."""

    def __init__(self, home: Home, client: ControllerClient) -> None:
        self._home, self._client = home, client
        self._stream: RunStream | None = None
        self._closed = False
        self._restart_after = 0.0

    def health(self) -> Health:
        """Who answers."""
        return self._client.health()

    def run(self, uid: str) -> RunDetail:
        """Everything about a run besides curves and log."""
        return self._client.run(uid)

    def check(self, spec: RunSpec) -> CheckResult:
        """What is wrong with an order, and what it could not use here."""
        return self._client.check(spec)

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

    def pause(self, uid: str) -> None:
        """Save a live run's state and free its devices."""
        self._client.pause(uid)

    def resume(self, uid: str, wish: ResumeRun) -> None:
        """Go on with a run as a new attempt."""
        self._client.resume(uid, **wish.model_dump())

    def checkpoint(self, uid: str) -> None:
        """Save a live run's state now."""
        self._client.checkpoint(uid)

    def sample(self, uid: str, wish: SampleNow) -> None:
        """Ask the model that is being trained."""
        self._client.sample(uid, wish.prompts, wish.max_new_tokens)

    def delete_files(self, uid: str) -> None:
        """Delete an ended run's working files."""
        self._client.clean(uid)

    def keep_checkpoint(self, uid: str, checkpoint: int, kept: bool) -> None:
        """Keep one checkpoint for good, or no longer."""
        self._client.keep_checkpoint(uid, checkpoint, kept)

    def delete_checkpoint(self, uid: str, checkpoint: int) -> None:
        """Delete one checkpoint."""
        self._client.delete_checkpoint(uid, checkpoint)

    def copy(self, uid: str, goes_on: bool = False) -> RunSummary:
        """A draft with the same settings."""
        return self._client.copy(uid, goes_on)

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

    def download(
        self, uid: str, item: Item, folder: Path, tell: Tell, exists: Exists = "refuse", name: str = ""
    ) -> Path:
        """Save something of a run into a folder."""
        return download(self._client, self._client.run(uid), item, folder, name=name, exists=exists, tell=tell)

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
        """Where the controller is. One that is gone is started again, not in a frenzy; one that hangs is waited for."""
        if (
            not self._closed
            and not self._moving
            and time.monotonic() >= self._restart_after
            and _look(self._home) == "gone"
        ):
            self._restart_after = time.monotonic() + RESTART_PAUSE_S
            start_controller(self._home)
        return read_address(self._home)


def _look(home: Home) -> Literal["up", "hangs", "gone"]:
    """Whether a controller answers, or only holds its port; raises UserError for one of another version."""
    address = read_address(home)
    if address is None:
        return "gone"
    with ControllerClient(home, timeout=PROBE_S) as client:
        try:
            protocol = client.health().protocol
        except Unreachable as error:
            return "hangs" if isinstance(error.__cause__, httpx.TimeoutException) else "gone"
        except UserError:  # something else listens on the port of a controller that is gone
            check_protocol(address.protocol)
            return "gone"
    check_protocol(protocol)
    return "up"
