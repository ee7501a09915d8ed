"""One run as its page shows it: detail, curves, device readings and log, following the session's events."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import EditRun, RunDetail, RunSummary, Settings
from engine.contract.errors import ErrorBody
from engine.contract.stream import RunEvent
from forge_desktop.bridge.backend import LogPart
from forge_desktop.bridge.session import Session
from forge_desktop.models.curves import Curve
from forge_desktop.models.log_lines import clean
from forge_desktop.models.run_series import RunSeries

TAIL_BYTES = 20_000
AGAIN_MS = 2000


class RunModel(QObject):
    """Follows one run. Widgets read it and redraw on its signals; they hold nothing themselves."""

    loaded = Signal()
    """The detail came for the first time."""
    changed = Signal()
    """Detail (state, scores, artifacts …) is news."""
    points_changed = Signal(object)
    """Set of metric names with new points."""
    tail_changed = Signal()
    phase_moved = Signal()
    """The present phase got on."""
    gone = Signal()
    failed = Signal(object)
    """ErrorBody: the run could not be loaded."""

    def __init__(self, session: Session, uid: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session, self.uid = session, uid
        self.detail: RunDetail | None = None
        self.log_tail = ""
        """The last lines of the log, for reports."""
        self.currency = "USD"
        """Of what runs cost here."""
        self.phase_done: tuple[str, float] = ("", 0.0)
        """The phase that told last how far it is, and its share."""
        self.download: tuple[int, int, float | None] | None = None
        """Bytes of the model that came, of how many, and how many a second; None where nothing was told."""
        self._detail_busy = False
        self._detail_again = False
        self.series = RunSeries(session, uid, self)
        self.series.changed.connect(self.points_changed)
        self._detail_soon = QTimer(self, singleShot=True, interval=AGAIN_MS)
        self._detail_soon.timeout.connect(self._fetch_detail)
        session.run_changed.connect(self._run_changed)
        session.run_noted.connect(self._run_noted)
        session.run_deleted.connect(self._run_deleted)
        session.run_event.connect(self._run_event)
        session.online.connect(self._line_is_new)

    @Slot()
    def _line_is_new(self) -> None:
        """Points may have been missed while the line was down."""
        self.series.break_off()
        self.refetch()

    @Slot()
    def refetch(self) -> None:
        """Load everything again: at first, and after the line was down."""
        self._detail_soon.stop()
        self._fetch_detail()
        self.session.ask(lambda backend: backend.price_list(), self._got_prices, lambda _error: None, owner=self)
        self.series.refetch()
        self._fetch_tail()

    def _got_prices(self, settings: Settings) -> None:
        if settings.currency != self.currency:
            self.currency = settings.currency
            if self.detail is not None:
                self.changed.emit()

    def rename(self, name: str) -> None:
        """Give the run another name; it is shown when the controller has it."""
        uid = self.uid
        self.session.ask(lambda backend: backend.edit(uid, EditRun(name=name)), owner=self)

    def change_tags(self, more: Sequence[str], less: Sequence[str]) -> None:
        """Give the run tags and take others; they are shown when the controller has them."""
        if self.detail is not None:
            kept = [tag for tag in self.detail.run.tags if tag not in less]
            uid, tags = self.uid, list(dict.fromkeys([*kept, *more]))
            self.session.ask(lambda backend: backend.edit(uid, EditRun(tags=tags)), owner=self)

    @property
    def curves(self) -> dict[str, Curve]:
        """All curves that were asked for or came, by metric."""
        return self.series.curves

    def curve(self, metric: str) -> Curve:
        """The curve of a metric, empty until it has points."""
        return self.series.curve(metric)

    @Slot()
    def _fetch_detail(self) -> None:
        if self._detail_busy or self._detail_soon.isActive():
            self._detail_again = True
            return
        self._detail_busy = True
        self._detail_again = False
        uid = self.uid
        self.session.ask(lambda backend: backend.run(uid), self._got_detail, self._detail_failed, owner=self)

    def _got_detail(self, detail: RunDetail) -> None:
        first = self.detail is None
        self.detail = detail
        if first:
            self.loaded.emit()
        self.changed.emit()
        self._detail_done()

    def _detail_failed(self, error: ErrorBody) -> None:
        self.series.is_gone = error.code == "run.unknown"
        self.failed.emit(error)
        self._detail_busy = False
        if self._detail_again:  # not at once: what failed now would fail again
            self._detail_soon.start()

    def _detail_done(self) -> None:
        self._detail_busy = False
        if self._detail_again:
            self._detail_again = False
            self._fetch_detail()

    def _fetch_tail(self) -> None:
        """The last lines of the log, once the run has ended; the log itself has a model of its own."""
        uid = self.uid
        self.session.ask(
            lambda backend: backend.log(uid, 0, -TAIL_BYTES, TAIL_BYTES),
            self._got_tail,
            lambda _error: None,
            owner=self,
        )

    def _got_tail(self, part: LogPart) -> None:
        text = clean(part.data)
        if part.offset > 0:
            text = text.partition("\n")[2]  # the tail may begin in the middle of a line
        if text != self.log_tail:
            self.log_tail = text
            self.tail_changed.emit()

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        if run.uid != self.uid:
            return
        state_moved = self.detail is None or self.detail.run.state is not run.state
        if self.detail is not None:
            self.detail = self.detail.model_copy(update={"run": run})
            self.changed.emit()
        if state_moved and run.state.ended:
            self._fetch_tail()

    @Slot(str)
    def _run_noted(self, uid: str) -> None:
        if uid == self.uid:
            self._fetch_detail()

    @Slot(str)
    def _run_deleted(self, uid: str) -> None:
        if uid == self.uid:
            self.gone.emit()

    @Slot(object)
    def _run_event(self, event: RunEvent) -> None:
        if event.run != self.uid:
            return
        if event.kind == "phase" and event.body.get("done") is not None:
            self.phase_done = str(event.body.get("phase", "")), float(event.body["done"])
            if event.body.get("bytes_total"):
                pace = event.body.get("bytes_per_second")
                self.download = int(event.body.get("bytes_done") or 0), int(event.body["bytes_total"]), pace
            self.phase_moved.emit()
        else:
            self._fetch_detail()
