"""Readings of all nodes over the last hour or day, for the chart and the heat map."""

from __future__ import annotations

import time
from typing import Literal

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.nodes import NodeHistory
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_figures import METRICS, Metric, device_lines, keys_of, line_of
from forge_desktop.models.nodes_model import NodesModel

Period = Literal["hour", "day"]
SECONDS: dict[Period, float] = {"hour": 3600.0, "day": 86400.0}
REFRESH_MS = {"hour": 30_000, "day": 300_000}
Line = list[tuple[float, float]]


class NodesHistory(QObject):
    """Asks for all nodes at once, again every now and then."""

    changed = Signal()

    def __init__(self, session: Session, nodes: NodesModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._nodes = session, nodes
        self.metric: Metric = "temperature"
        self.period: Period = "hour"
        self.since, self.until = 0.0, 0.0
        self.is_loaded = False
        self.error: ErrorBody | None = None
        self._found: dict[str, NodeHistory] = {}
        self._asked = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.fetch)
        nodes.changed.connect(self.fetch)
        self.fetch()

    def show(self, metric: str = "", period: str = "") -> None:
        """Look at something else."""
        self.metric = next((one for one in METRICS if one == metric), self.metric)
        self.period = "day" if period == "day" else "hour" if period == "hour" else self.period
        self.fetch()

    @Slot()
    def fetch(self) -> None:
        """Ask for the readings; an older answer that comes late is dropped."""
        if not self._session.is_online or not self._nodes.is_loaded:
            return
        self._timer.start(REFRESH_MS[self.period])
        self._asked += 1
        asked, until = self._asked, time.time()
        since = until - SECONDS[self.period]
        wanted = {
            node.profile.name: sorted({key for metric in METRICS for key in keys_of(metric, node.values)})
            for node in self._nodes.nodes
        }

        def work(backend: Backend) -> dict[str, NodeHistory]:
            return {name: backend.node_history(name, since, until, keys) for name, keys in wanted.items()}

        def done(found: dict[str, NodeHistory]) -> None:
            if asked == self._asked:
                self._got(found, since, until)

        self._session.ask(work, done, self._failed, owner=self)

    def _got(self, found: dict[str, NodeHistory], since: float, until: float) -> None:
        self._found, self.since, self.until, self.error, self.is_loaded = found, since, until, None, True
        for name, history in found.items():
            busy = line_of("utilisation", history.series)
            if busy:
                self._nodes.seed(name, [value for _t, value in busy])
        self.changed.emit()

    def _failed(self, error: ErrorBody) -> None:
        self.error = error
        self.changed.emit()

    def lines(self, metric: Metric | None = None) -> dict[str, Line]:
        """A line a node that has readings."""
        made = {name: line_of(metric or self.metric, found.series) for name, found in self._found.items()}
        return {name: line for name, line in made.items() if line}

    def devices(self, metric: Metric) -> dict[tuple[str, str], Line]:
        """A line a GPU: (node, gpu) to its readings."""
        return {
            (name, device): line
            for name, found in self._found.items()
            for device, line in device_lines(metric, found.series).items()
        }
