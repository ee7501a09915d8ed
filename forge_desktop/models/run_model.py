"""One run as its page shows it: detail, curves, device readings and log, following the session's events."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import RunDetail, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.events import LogGrew, RunEvent
from forge_desktop.bridge.backend import LogPart
from forge_desktop.bridge.session import Session
from forge_desktop.models.curves import Curve
from forge_desktop.models.run_series import RunSeries

LOG_TAIL_BYTES = 400_000
LOG_PART_BYTES = 1_000_000
TAIL_CHARACTERS = 20_000
AGAIN_MS = 2000


class RunModel(QObject):
    """Follows one run. Widgets read it and redraw on its signals; they hold nothing themselves."""

    loaded = Signal()
    """The detail came for the first time."""
    changed = Signal()
    """Detail (state, scores, artifacts …) is news."""
    points_changed = Signal(object)
    """Set of metric names with new points."""
    log_appended = Signal(str)
    log_restarted = Signal()
    gone = Signal()
    failed = Signal(object)
    """ErrorBody: the run could not be loaded."""

    def __init__(self, session: Session, uid: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session, self.uid = session, uid
        self.detail: RunDetail | None = None
        self.log_tail = ""
        """The last lines of the log, for reports."""
        self._log_end = -1
        self._log_attempt = 0
        self._log_busy = False
        self._log_wanted = 0
        self._detail_busy = False
        self._detail_again = False
        self._log_again = False
        self.series = RunSeries(session, uid, self)
        self.series.changed.connect(self.points_changed)
        self._detail_soon = QTimer(self, singleShot=True, interval=AGAIN_MS)
        self._detail_soon.timeout.connect(self._fetch_detail)
        session.run_changed.connect(self._run_changed)
        session.run_noted.connect(self._run_noted)
        session.run_deleted.connect(self._run_deleted)
        session.run_event.connect(self._run_event)
        session.log_grew.connect(self._log_grew)
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
        self.series.refetch()
        self._fetch_log(restart=True)

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

    def _fetch_log(self, restart: bool = False) -> None:
        if self._log_busy:
            self._log_again = self._log_again or restart
            return
        self._log_busy = True
        offset = -LOG_TAIL_BYTES if restart or self._log_end < 0 else self._log_end
        fresh = offset < 0
        uid, attempt = self.uid, self._log_attempt
        self.session.ask(
            lambda backend: backend.log(uid, attempt, offset, LOG_PART_BYTES),
            lambda part: self._got_log(part, fresh),
            self._log_failed,
            owner=self,
        )

    def _got_log(self, part: LogPart, fresh: bool) -> None:
        self._log_busy = False
        if self._log_again:
            self._log_again = False
            self._fetch_log(restart=True)
            return
        if fresh:
            self.log_tail = ""
            self.log_restarted.emit()
        text = part.data.decode("utf-8", errors="replace")
        if fresh and part.offset > 0:
            text = text.partition("\n")[2]  # the tail may begin in the middle of a line
        self._log_end = part.offset + len(part.data)
        if text:
            self.log_tail = (self.log_tail + text)[-TAIL_CHARACTERS:]
            self.log_appended.emit(text)
        if self._log_end < max(part.size, self._log_wanted) and part.data:
            self._fetch_log()

    def _log_failed(self, _error: ErrorBody) -> None:
        self._log_busy = False
        if self._log_again:
            self._log_again = False
            self._fetch_log(restart=True)

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        if run.uid != self.uid:
            return
        state_moved = self.detail is None or self.detail.run.state is not run.state
        if self.detail is not None:
            self.detail = self.detail.model_copy(update={"run": run})
            self.changed.emit()
        if state_moved and run.state.ended:
            self._fetch_log()

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
        if event.run == self.uid and event.kind not in ("phase",):
            self._fetch_detail()

    @Slot(object)
    def _log_grew(self, news: LogGrew) -> None:
        if news.run != self.uid:
            return
        restart = news.attempt != self._log_attempt and self._log_attempt != 0
        self._log_attempt = news.attempt
        self._log_wanted = news.size
        if restart:
            self._log_end = -1
        self._fetch_log(restart)
