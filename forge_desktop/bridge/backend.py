"""What the desktop asks of a controller. The real one is `controller.py`; `replay.py` plays recorded journals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.client.download import Cancelled, Exists, Item, Tell
from engine.contract.api import CheckResult, EditRun, Health, ResumeRun, RunDetail, RunSummary, SampleNow
from engine.contract.run_spec import RunSpec
from engine.contract.stream import Resources, StreamMessage
from forge_desktop.bridge.backend_adapters import AdaptersBackend
from forge_desktop.bridge.backend_alerts import AlertsBackend
from forge_desktop.bridge.backend_artifacts import ArtifactsBackend
from forge_desktop.bridge.backend_chat import ChatBackend
from forge_desktop.bridge.backend_compare import CompareBackend
from forge_desktop.bridge.backend_datasets import DatasetsBackend
from forge_desktop.bridge.backend_forecast import ForecastBackend
from forge_desktop.bridge.backend_forensics import ForensicsBackend
from forge_desktop.bridge.backend_instance import InstanceBackend
from forge_desktop.bridge.backend_listing import ListingBackend
from forge_desktop.bridge.backend_moves import MovesBackend
from forge_desktop.bridge.backend_nodes import NodesBackend
from forge_desktop.bridge.backend_notices import NoticesBackend
from forge_desktop.bridge.backend_series import SeriesBackend
from forge_desktop.bridge.backend_settings import SettingsBackend
from forge_desktop.bridge.backend_watching import WatchingBackend
from forge_desktop.bridge.points import Floats, SeriesPart

__all__ = ["Backend", "Cancelled", "Connect", "Exists", "Floats", "Item", "LogPart", "SeriesPart", "Tell"]


@dataclass(frozen=True)
class LogPart:
    """Bytes of a log from `offset`, and how many the log holds."""

    data: bytes
    offset: int
    size: int


class Backend(
    NoticesBackend,
    WatchingBackend,
    SettingsBackend,
    SeriesBackend,
    ListingBackend,
    CompareBackend,
    ChatBackend,
    AlertsBackend,
    NodesBackend,
    MovesBackend,
    DatasetsBackend,
    ForecastBackend,
    ForensicsBackend,
    ArtifactsBackend,
    AdaptersBackend,
    InstanceBackend,
    Protocol,
):
    """A controller as the desktop sees it. Calls block, so they run off the window's thread; they raise UserError."""

    def health(self) -> Health:
        """Who answers."""

    def run(self, uid: str) -> RunDetail:
        """Everything about a run besides curves and log."""

    def check(self, spec: RunSpec) -> CheckResult:
        """What is wrong with an order, and what it could not use here."""

    def create(self, spec: RunSpec, start: bool) -> RunSummary:
        """Make a run, and start it or leave it as a draft."""

    def edit(self, uid: str, change: EditRun) -> RunSummary:
        """Change a run."""

    def start(self, uid: str) -> RunSummary:
        """Queue a draft, or an ended run again."""

    def stop(self, uid: str, save: bool) -> RunSummary:
        """Stop a run."""

    def pause(self, uid: str) -> None:
        """Save a live run's state and free its devices."""

    def resume(self, uid: str, wish: ResumeRun) -> None:
        """Go on with a run as a new attempt."""

    def checkpoint(self, uid: str) -> None:
        """Save a live run's state now."""

    def sample(self, uid: str, wish: SampleNow) -> None:
        """Ask the model that is being trained; the answers come as samples."""

    def delete_files(self, uid: str) -> None:
        """Delete an ended run's working files."""

    def keep_checkpoint(self, uid: str, checkpoint: int, kept: bool) -> None:
        """Keep one for good, or no longer."""

    def delete_checkpoint(self, uid: str, checkpoint: int) -> None:
        """Delete one checkpoint."""

    def copy(self, uid: str, goes_on: bool = False) -> RunSummary:
        """A draft with the same settings; `goes_on`: it begins with the adapter the run has made."""

    def delete(self, uid: str) -> None:
        """Delete a run with everything of it."""

    def series(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        """Curves of a run by metric."""

    def log(self, uid: str, attempt: int, offset: int, limit: int) -> LogPart:
        """Part of the worker's log; a negative offset counts from its end."""

    def download(
        self, uid: str, item: Item, folder: Path, tell: Tell, exists: Exists = "refuse", name: str = ""
    ) -> Path:
        """Save something of a run into a folder, verified, continued after a break; the path of what was written."""

    def resources(self) -> Resources:
        """Slots and load."""

    def query(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask a helper process."""

    def stream(self, since: int, on_line: Callable[[bool], None]) -> Iterator[StreamMessage]:
        """Messages after a cursor, for ever; reconnects by itself and reports being on or off line."""

    def close(self) -> None:
        """End the stream and all connections."""


Connect = Callable[[], Backend]
"""Makes a backend; may start a controller, and raises UserError when there is none to be had."""
