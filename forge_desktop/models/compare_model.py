"""Two to ten runs side by side: their details and curves, kept current while some of them still work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import RunDetail, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.listing import Price, Quality, RunPoint, RunPoints
from forge_desktop.bridge.backend import Floats
from forge_desktop.bridge.session import Session
from forge_desktop.models.curves import Curve
from forge_desktop.models.run_series import RunSeries
from forge_desktop.models.series_view import ChartAxis, CurveSource, Spans, held_axis

FEWEST, MOST = 2, 10
LETTERS = "ABCDEFGHIJ"
METRICS = ("loss", "validation_loss", "learning_rate", "grad_norm", "tokens_per_second")
AXES = ("step", "time", "tokens")
CHART_AXES: dict[str, ChartAxis] = {"step": "step", "time": "worked", "tokens": "tokens_seen"}
LOSS, VALIDATION, SEEN = "loss", "validation_loss", "tokens_seen"
NEEDED = (LOSS, VALIDATION, "tokens_per_second")
"""Metrics of the table of results, whatever the chart shows."""
FOREVER = 1e12
"""Seconds that a live attempt may yet work."""
CHANGED_SOON_MS = 250
POINTS_SOON_MS = 1500


class Figures:
    """What a curve comes to, of finite values only; of one that grows, only what is new is looked at."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self._known: object = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.last: float | None = None
        self.least: float | None = None
        self._have, self._count, self._mean = 0, 0, 0.0

    @property
    def mean(self) -> float | None:
        """The mean of all."""
        return self._mean if self._count else None

    def refresh(self) -> Figures:
        """Take what came since."""
        curve = self._curve
        places = curve.places(self._have)
        known = (curve.generation, id(curve.coarse))
        if known != self._known:
            self._known = known
            self._begin_anew()
            places = curve.places()
            if curve.coarse is not None:
                held = curve.coarse.shown[np.isfinite(curve.coarse.shown["mean"])]
                self._take(held["mean"], held["n"].astype(float), held["min"], held["last"])
        self._have += len(places)
        value = curve.value[places]
        value = value[np.isfinite(value)]
        self._take(value, np.ones(len(value)), value, value)
        return self

    def _take(self, mean: Floats, count: Floats, least: Floats, last: Floats) -> None:
        if not len(mean):
            return
        number = int(count.sum())
        self._mean += (float(np.average(mean, weights=count)) - self._mean) * number / (self._count + number)
        self._count += number
        low = float(least.min())
        self.least = low if self.least is None else min(self.least, low)
        self.last = float(last[-1])


@dataclass
class Entry:
    """One of the runs."""

    uid: str
    letter: str
    series: RunSeries
    detail: RunDetail | None = None
    error: ErrorBody | None = None
    sources: dict[str, CurveSource] = field(default_factory=dict)
    figures: dict[str, Figures] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.detail.run.name if self.detail is not None else self.uid

    def curve(self, metric: str) -> Curve:
        """Its curve of a metric, empty until it has points."""
        return self.series.curve(metric)

    def source(self, metric: str) -> CurveSource:
        """The same, ready to be drawn."""
        if metric not in self.sources:
            self.sources[metric] = CurveSource(self.curve(metric), tokens=self.curve(SEEN))
        return self.sources[metric]

    def figures_of(self, metric: str) -> Figures:
        """The last, the least and the mean value of a curve."""
        if metric not in self.figures:
            self.figures[metric] = Figures(self.curve(metric))
        return self.figures[metric].refresh()

    @property
    def tells_tokens(self) -> bool:
        """It says how many tokens it has seen."""
        seen = self.curve(SEEN)
        return len(seen) > 0 or seen.coarse is not None

    def as_point(self) -> RunPoint | None:
        """Itself in a picture of all runs, once it has ended."""
        if self.detail is None or not self.detail.run.state.ended:
            return None
        run = self.detail.run
        return RunPoint(
            uid=run.uid, name=run.name, created=run.created, seconds=run.seconds, cost=run.cost, steps=run.step,
            loss=run.loss, validation_loss=self.figures_of(VALIDATION).least, score=run.score,
        )  # fmt: skip

    def work_spans(self) -> Spans:
        """When its attempts trained: from their first to their last point."""
        loss = self.curve(LOSS)
        if loss.coarse is None and len(loss):
            edges = np.flatnonzero(np.diff(loss.attempt))
            begins, ends = loss.t[[0, *(edges + 1).tolist()]], loss.t[[*edges.tolist(), -1]]
        elif self.detail is not None:
            known = [(one.started, one.ended) for one in self.detail.attempts if one.started is not None]
            begins = np.array([begin for begin, _ in known])
            ends = np.array([begin if end is None else end for begin, end in known])
            if loss.coarse is not None and loss.coarse.axis == "time" and len(known) and len(loss.coarse.shown):
                begins[0] = max(begins[0], float(loss.coarse.shown["x_first"][0]))  # loading is no training
        else:
            return ()
        if not len(begins):
            return ()
        return tuple(zip(begins.tolist(), [*ends[:-1].tolist(), float(begins[-1]) + FOREVER], strict=True))


def value_of(point: RunPoint, name: str) -> float | None:
    """One of its values, if it is a number."""
    value = getattr(point, name)
    return None if value is None or not math.isfinite(value) else float(value)


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
    series_state_changed = Signal()
    """Curves came, or could not be had."""
    all_changed = Signal()
    """The points of all runs came."""
    all_failed = Signal(object)

    def __init__(self, session: Session, uids: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.entries = [
            Entry(uid, LETTERS[place], RunSeries(session, uid, self, metrics=NEEDED)) for place, uid in enumerate(uids)
        ]
        self.every: RunPoints | None = None
        self.metric, self.axis = "loss", "step"
        self.price: Price = "seconds"
        self.quality: Quality = "score"
        self._points_soon = QTimer(self, singleShot=True, interval=POINTS_SOON_MS)
        self._points_soon.timeout.connect(self._fetch_all)
        self._changed_soon = QTimer(self, singleShot=True, interval=CHANGED_SOON_MS)
        self._changed_soon.timeout.connect(self.changed)
        session.run_changed.connect(self._run_changed)
        session.run_noted.connect(self._run_noted)
        session.run_deleted.connect(self._run_deleted)
        session.online.connect(self._line_is_new)
        for one in self.entries:
            one.series.changed.connect(self._series_changed)
            one.series.state_changed.connect(self.series_state_changed)

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
        self.want(self.metric, self.axis)
        for one in self.entries:
            self._fetch_detail(one)
            one.series.refetch()
        self._fetch_all()

    @Slot()
    def _line_is_new(self) -> None:
        for one in self.entries:
            one.series.break_off()
        self.refetch()

    def want(self, metric: str, axis: str) -> None:
        """Show another metric, or along another axis; what is missing for that is fetched."""
        self.metric, self.axis = metric, axis
        for one in self.entries:
            one.series.set_axis(held_axis(CHART_AXES[axis]))
            one.series.want({metric} | ({SEEN} if axis == "tokens" else set()))
        self.align()

    def align(self) -> None:
        """Lay the curves along the axis, as far as they are known."""
        for one in self.entries:
            source = one.source(self.metric)
            source.set_axis(CHART_AXES[self.axis])
            if self.axis == "time":
                source.set_work(one.work_spans())
            if self.metric == VALIDATION:
                one.curve(VALIDATION).set_begins(one.curve(LOSS).begins())

    @property
    def curves_state(self) -> tuple[str, ErrorBody | None]:
        """loading while any are on their way, failed if all that are there could not be had, else ready."""
        found = [one.series for one in self.entries if one.error is None or one.detail is not None]
        if any(series.state == "loading" for series in found):
            return "loading", None
        failed = [series.error for series in found if series.state == "failed"]
        return ("failed", failed[0]) if failed and len(failed) == len(found) else ("ready", None)

    def _fetch_detail(self, one: Entry) -> None:
        def got(detail: RunDetail) -> None:
            one.detail, one.error = detail, None
            self.changed.emit()

        def bad(error: ErrorBody) -> None:
            one.error = error
            one.series.is_gone = error.code == "run.unknown"
            self.changed.emit()

        self.session.ask(lambda backend: backend.run(one.uid), got, bad, owner=self)

    def want_points(self, price: Price, quality: Quality) -> None:
        """Picture all runs by other values."""
        if (price, quality) != (self.price, self.quality):
            self.price, self.quality = price, quality
            self.every = None
            self.all_changed.emit()
            self._fetch_all()

    @Slot()
    def _fetch_all(self) -> None:
        price, quality = self.price, self.quality

        def got(every: RunPoints) -> None:
            if (price, quality) == (self.price, self.quality):
                self.every = every
                self.all_changed.emit()

        self.session.ask(lambda backend: backend.run_points(price, quality), got, self.all_failed.emit, owner=self)

    def picture(self) -> list[RunPoint]:
        """The points of all runs; those that are compared are always among them."""
        if self.every is None:
            return []
        there = {point.uid for point in self.every.points}
        mine = [one.as_point() for one in self.known if one.uid not in there]
        shown = [point for point in mine if point is not None and value_of(point, self.price) is not None]
        return [*self.every.points, *(point for point in shown if value_of(point, self.quality) is not None)]

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        one = self.entry(run.uid)
        if one is not None and one.detail is not None:
            one.detail = one.detail.model_copy(update={"run": run})
            if not self._changed_soon.isActive():  # ten live runs tell of themselves hundreds of times a second
                self._changed_soon.start()
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
    def _series_changed(self, metrics: set[str]) -> None:
        self.align()
        self.points_changed.emit(metrics)
