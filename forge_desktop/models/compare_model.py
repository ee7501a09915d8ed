"""Two to ten runs side by side: their details and curves, kept current while some of them still work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import RunDetail, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.events import Points
from engine.contract.listing import RunPoints
from forge_desktop.bridge.backend import Floats, SeriesPart
from forge_desktop.bridge.session import Session
from forge_desktop.models.curves import Curve

FEWEST, MOST = 2, 10
LETTERS = "ABCDEFGHIJ"
METRICS = ("loss", "validation_loss", "learning_rate", "grad_norm", "tokens_per_second")
AXES = ("step", "time", "tokens")
NEEDED = ("validation_loss", "tokens_per_second")
"""Metrics of the table of results, whatever the chart shows."""
POINTS_SOON_MS = 1500


@dataclass
class Entry:
    """One of the runs."""

    uid: str
    letter: str
    detail: RunDetail | None = None
    error: ErrorBody | None = None
    curves: dict[str, Curve] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.detail.run.name if self.detail is not None else self.uid

    def curve(self, metric: str) -> Curve:
        """Its curve of a metric, empty until it has points."""
        return self.curves.setdefault(metric, Curve())


def uids_of(text: str) -> tuple[list[str], list[str]]:
    """The runs an address names, each once, and those that are too many."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    return found[:MOST], found[MOST:]


class CompareModel(QObject):
    """Follows some runs, and knows all ended ones as points."""

    changed = Signal()
    """Details are news."""
    points_changed = Signal(object)
    """Set of metrics with new points."""
    all_changed = Signal()
    """The points of all runs came."""
    all_failed = Signal(object)

    def __init__(self, session: Session, uids: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.entries = [Entry(uid, LETTERS[place]) for place, uid in enumerate(uids)]
        self.every: RunPoints | None = None
        self.metric, self.axis = "loss", "step"
        self.fetching = 0
        """Questions for curves that are not answered yet."""
        self._points_soon = QTimer(self, singleShot=True, interval=POINTS_SOON_MS)
        self._points_soon.timeout.connect(self._fetch_all)
        session.run_changed.connect(self._run_changed)
        session.run_noted.connect(self._run_noted)
        session.run_deleted.connect(self._run_deleted)
        session.points.connect(self._live_points)
        session.online.connect(self._line_is_new)

    def entry(self, uid: str) -> Entry | None:
        """The run with an id."""
        return next((one for one in self.entries if one.uid == uid), None)

    @property
    def known(self) -> list[Entry]:
        """Those whose detail is there."""
        return [one for one in self.entries if one.detail is not None]

    @Slot()
    def refetch(self) -> None:
        """Load everything again."""
        for one in self.entries:
            self._fetch_detail(one)
            one.asked.clear()
        self.want(self.metric, self.axis)
        self._fetch_all()

    @Slot()
    def _line_is_new(self) -> None:
        for one in self.entries:
            for curve in one.curves.values():
                curve.break_off()
        self.refetch()

    def want(self, metric: str, axis: str) -> None:
        """Show another metric, or along another axis; what is missing for that is fetched."""
        self.metric, self.axis = metric, axis
        wanted = {metric, *NEEDED} | ({"tokens_seen"} if axis == "tokens" else set())
        for one in self.entries:
            missing = sorted(wanted - one.asked)
            if missing:
                one.asked |= set(missing)
                self._fetch_series(one, missing)

    def _fetch_detail(self, one: Entry) -> None:
        def got(detail: RunDetail) -> None:
            one.detail, one.error = detail, None
            self.changed.emit()

        def bad(error: ErrorBody) -> None:
            one.error = error
            self.changed.emit()

        self.session.ask(lambda backend: backend.run(one.uid), got, bad, owner=self)

    def _fetch_series(self, one: Entry, metrics: list[str]) -> None:
        self.fetching += 1

        def got(series: dict[str, SeriesPart]) -> None:
            self.fetching -= 1
            for metric, part in series.items():
                one.curve(metric).replace(part)
            self.points_changed.emit(set(metrics))

        def bad(_error: ErrorBody) -> None:
            self.fetching -= 1
            one.asked -= set(metrics)
            self.points_changed.emit(set(metrics))

        self.session.ask(lambda backend: backend.series(one.uid, metrics), got, bad, owner=self)

    @Slot()
    def _fetch_all(self) -> None:
        def got(every: RunPoints) -> None:
            self.every = every
            self.all_changed.emit()

        self.session.ask(lambda backend: backend.run_points(), got, self.all_failed.emit, owner=self)

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        one = self.entry(run.uid)
        if one is not None and one.detail is not None:
            one.detail = one.detail.model_copy(update={"run": run})
            self.changed.emit()
        if run.state.ended and not self._points_soon.isActive():
            self._points_soon.start()

    @Slot(str)
    def _run_noted(self, uid: str) -> None:
        one = self.entry(uid)
        if one is not None:
            self._fetch_detail(one)

    @Slot(str)
    def _run_deleted(self, uid: str) -> None:
        one = self.entry(uid)
        if one is not None:
            one.detail = None
            one.error = ErrorBody(code="run.unknown", what="", params={"run": uid})
            self.changed.emit()

    @Slot(object)
    def _live_points(self, message: Points) -> None:
        one = self.entry(message.run)
        if one is None:
            return
        news = {metric for metric in message.points if metric in one.asked}
        for metric in news:
            one.curve(metric).append(message.attempt, message.points[metric])
        if news:
            self.points_changed.emit(news)


def along(one: Entry, metric: str, axis: str) -> tuple[Floats, Floats]:
    """A run's curve along an axis: its steps, the seconds it was at work, or the tokens it had seen."""
    curve = one.curve(metric)
    steps, values = curve.shown()
    if axis == "step" or len(steps) == 0:
        return steps, values
    if axis == "tokens":
        return _tokens(one, steps, curve), values
    return _worked(curve, steps), values


def _worked(curve: Curve, steps: Floats) -> Floats:
    """Seconds of work at each step: from the first point on, without the time between attempts."""
    attempt, t = _newest(curve, steps)
    passed = np.diff(t, prepend=t[0])
    passed[1:][attempt[1:] != attempt[:-1]] = 0.0
    return np.asarray(np.cumsum(np.maximum(passed, 0.0)))


def _newest(curve: Curve, steps: Floats) -> tuple[Floats, Floats]:
    """Attempt and wall time of the points that are shown: of each step, the latest."""
    order = np.argsort(curve.x, kind="stable")
    x = curve.x[order]
    last = np.searchsorted(x, steps, side="right") - 1
    return curve.attempt[order][last].astype(float), curve.t[order][last]


def _tokens(one: Entry, steps: Floats, curve: Curve) -> Floats:
    """Tokens seen at each step: as the worker tells, else from its throughput."""
    at, seen = one.curve("tokens_seen").shown()
    if len(at):
        return np.interp(steps, at, seen)
    at, rate = one.curve("tokens_per_second").shown()
    if len(at) == 0:
        return np.full(len(steps), math.nan)
    worked = _worked(curve, steps)
    rates = np.interp(steps, at, rate)
    return np.asarray(np.cumsum(rates * np.diff(worked, prepend=0.0)))
