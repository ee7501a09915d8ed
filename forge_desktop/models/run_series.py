"""All curves of one run: fetched once, live from then on, long ones at few buckets and finer where somebody looks."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.stream import Points
from forge_desktop.bridge.backend_series import Axis, LongPart, SeriesView
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.bridge.session import Session
from forge_desktop.models.curves import Curve

LONG_FROM = 200_000
"""A curve of more points is not held point by point."""
GROWN = 1.5
"""So many times that in live points, and buckets take their place."""
BUCKETS = 4000
"""Of a long curve; a screen has fewer columns."""
AGAIN_MS = 2000
FINER_MS = 150
FINER_SHARE = 0.5
"""Part of what is held that must be looked at before a finer piece is worth a request."""
Range = tuple[float, float]


class RunSeries(QObject):
    """Follows the curves of a run. What it holds does not grow with their length."""

    changed = Signal(object)
    """Set of metric names with new points, or finer ones."""
    state_changed = Signal()
    """`state` or `error` is another."""

    def __init__(
        self,
        session: Session,
        uid: str,
        parent: QObject | None = None,
        long_from: int | None = None,
        metrics: Iterable[str] = (),
    ) -> None:
        super().__init__(parent)
        self._metrics = frozenset(metrics)
        self.session, self.uid = session, uid
        self._long_from = LONG_FROM if long_from is None else long_from
        self.curves: dict[str, Curve] = {}
        self.state = "loading"
        """loading, ready or failed."""
        self.error: ErrorBody | None = None
        self.is_gone = False
        self.axis: Axis = "step"
        self._asked = 0
        self._wanted: dict[str, Range] = {}
        """The newest piece that is looked at, by curve."""
        self._flying: set[str] = set()
        """Curves of which a finer piece is on its way: the next is asked for when it is here."""
        self._whole: set[str] = set()
        """Long curves that can only be had point by point."""
        self._again = QTimer(self, singleShot=True, interval=AGAIN_MS)
        self._again.timeout.connect(self.refetch)
        self._finer = QTimer(self, singleShot=True, interval=FINER_MS)
        self._finer.timeout.connect(self._fetch_finer)
        session.points.connect(self._points)

    def curve(self, metric: str) -> Curve:
        """The curve of a metric, empty until it has points."""
        return self.curves.setdefault(metric, Curve())

    def want(self, metrics: Iterable[str]) -> None:
        """Follow these curves too; of a series made without any, all are followed."""
        if self._metrics and not self._metrics >= set(metrics):
            self._metrics |= set(metrics)
            self.refetch()

    def break_off(self) -> None:
        """The line was down: points may have been missed."""
        for curve in self.curves.values():
            curve.break_off()

    def set_axis(self, axis: Axis) -> None:
        """Long curves are held along one axis."""
        if axis != self.axis:
            self.axis = axis
            self._wanted.clear()
            if any(curve.coarse is not None for curve in self.curves.values()):
                self.refetch()

    @Slot()
    def refetch(self) -> None:
        """Ask for all curves; an answer to an earlier question may lack what was missed since."""
        self._asked += 1
        uid, number, long_from, axis = self.uid, self._asked, self._long_from, self.axis
        metrics = tuple(sorted(self._metrics))
        self._again.stop()
        self.session.ask(
            lambda backend: backend.curves(uid, long_from, BUCKETS, axis, metrics),
            lambda series: self._got(number, series),
            lambda error: self._failed(number, error),
            owner=self,
        )

    def look_at(self, metric: str, visible: Range) -> None:
        """Somebody looks at this piece of a curve: fetch it finer, a moment after the last movement."""
        self._wanted.pop(metric, None)
        curve = self.curves.get(metric)
        if curve is None or curve.coarse is None or curve.coarse.axis != self.axis or not len(curve.coarse.shown):
            return
        every = (float(curve.coarse.shown["x_first"][0]), float(curve.coarse.shown["x_last"][-1]))
        visible = (max(visible[0], every[0]), min(visible[1], every[1]))
        if visible[0] >= visible[1] or _width(visible) >= FINER_SHARE * _width(every):
            return
        fine = curve.fine
        if fine is not None and _covers(fine, visible) and _width(visible) > FINER_SHARE**2 * (fine.to_x - fine.from_x):
            return
        self._wanted[metric] = visible
        self._finer.start()

    @Slot()
    def _fetch_finer(self) -> None:
        for metric in [one for one in self._wanted if one not in self._flying]:
            low, high = self._wanted.pop(metric)
            coarse = self.curve(metric).coarse
            if coarse is None:
                continue
            spare = (high - low) / 2  # so that a little panning needs no request
            end = min(high + spare, float(coarse.shown["x_last"][-1]))  # what follows is there as points
            ask = SeriesView(coarse.axis, low - spare, end, coarse.shown[:0], (), coarse.begins)
            self._ask_finer(metric, coarse, ask)

    def _ask_finer(self, metric: str, coarse: SeriesView, wanted: SeriesView) -> None:
        uid = self.uid
        self._flying.add(metric)

        def got(view: SeriesView) -> None:
            curve = self.curve(metric)
            if curve.coarse is coarse:  # else everything was fetched anew meanwhile
                curve.refine(view)
                self.changed.emit({metric})
            landed()

        def landed(_error: ErrorBody | None = None) -> None:
            self._flying.discard(metric)
            if metric in self._wanted:
                self.look_at(metric, self._wanted[metric])  # what came meanwhile may be enough

        self.session.ask(lambda backend: backend.curve_view(uid, metric, BUCKETS, wanted), got, landed, owner=self)

    def _got(self, number: int, series: dict[str, SeriesPart | LongPart]) -> None:
        if number != self._asked:
            return
        for metric, part in series.items():
            if isinstance(part, LongPart):
                self.curve(metric).replace_long(part)
            else:
                self.curve(metric).replace(part)
                if len(part.x) > self._long_from:
                    self._whole.add(metric)
        self._say("ready", None)
        self.changed.emit(set(series))

    def _failed(self, number: int, error: ErrorBody) -> None:
        if number != self._asked:
            return
        if self.state != "ready":
            self._say("failed", error)
        if self.session.is_online and not self.is_gone:
            self._again.start()

    def _say(self, state: str, error: ErrorBody | None) -> None:
        if (state, error) != (self.state, self.error):
            self.state, self.error = state, error
            self.state_changed.emit()

    @Slot(object)
    def _points(self, message: Points) -> None:
        if message.run != self.uid:
            return
        stale = False
        news = {one: points for one, points in message.points.items() if not self._metrics or one in self._metrics}
        for metric, points in news.items():
            curve = self.curve(metric)
            curve.append(message.attempt, points)
            grown = len(curve) > GROWN * self._long_from and metric not in self._whole
            stale = stale or curve.goes_back or grown
        if stale and not self._again.isActive():
            self._again.start()
        if news:
            self.changed.emit(set(news))


def _covers(view: SeriesView, visible: Range) -> bool:
    return view.from_x <= visible[0] and visible[1] <= view.to_x


def _width(visible: Range) -> float:
    return visible[1] - visible[0]
