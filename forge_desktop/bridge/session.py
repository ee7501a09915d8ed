"""The desktop's line to a controller: the only place where engine events become Qt signals.

Requests run on two pool threads, transfers of files on two others, and come back to the window's thread; one more
thread reads the stream. Nothing here waits on the window's thread. Whatever comes waits in an inbox, which that thread
empties a slice a turn, so that it stays at hand for the person before it also when much comes at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody, UserError
from engine.contract.stream import (
    AlertChanged,
    AlertRulesChanged,
    DatasetChanged,
    DatasetRemoved,
    DoctorChecked,
    Hello,
    LogGrew,
    MoveChanged,
    NodeChanged,
    NodeReading,
    NodeRemoved,
    Points,
    Resources,
    RunChanged,
    RunDeleted,
    RunEvent,
    SettingsChanged,
    StreamMessage,
    TransferChanged,
)
from forge_desktop.bridge.backend import Backend, Connect
from forge_desktop.bridge.inbox import Deed, Inbox
from forge_desktop.bridge.pool import Pool

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)
RETRY_SECONDS = 2.0
UNREACHABLE = "controller.unreachable"
LAST_WAIT_S, LAST_REQUEST_S = 10.0, 5.0
SLICE_S = 0.008
"""For so long, or a little longer, a turn of the window's thread takes from the inbox."""


class Session(QObject):
    """Asks a backend and passes on what it reports. Live until `close`."""

    online = Signal()
    offline = Signal(object)
    """ErrorBody of why nobody answers."""
    run_changed = Signal(object)
    """RunSummary."""
    run_noted = Signal(str)
    """Something about a run was written down: its state, a mark, its files …; not only its progress."""
    run_deleted = Signal(str)
    points = Signal(object)
    run_event = Signal(object)
    log_grew = Signal(object)
    resources = Signal(object)
    settings_changed = Signal(object)
    """Settings of the controller, changed by whomever."""
    node_changed = Signal(object)
    """NodeView."""
    node_removed = Signal(str)
    node_reading = Signal(object)
    doctor_checked = Signal(object)
    """DoctorChecked."""
    move_changed = Signal(object)
    """MoveView."""
    alert_changed = Signal(object)
    """Alert."""
    alert_rules_changed = Signal(object)
    """All rules of alerts, as a list."""
    transfer_changed = Signal(object)
    """Transfer."""
    dataset_changed = Signal(object)
    """DatasetView."""
    dataset_removed = Signal(str)
    failed = Signal(object)
    """ErrorBody of a request that nobody else handles."""
    _arrived = Signal()
    """The inbox is empty no more."""

    def __init__(self, connect: Connect, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connect = connect
        self._backend: Backend | None = None
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._is_online = False
        self._unanswered = 0
        self._pool = Pool(2, "forge-request")
        self._transfers = Pool(2, "forge-transfer")
        self._stream_is_up = False
        self._probe = QTimer(self, singleShot=True, interval=round(1000 * RETRY_SECONDS))
        self._probe.timeout.connect(self._look_again)
        self._inbox = Inbox()
        self._more = QTimer(self, singleShot=True, interval=0)
        self._more.timeout.connect(self._empty_inbox)
        self._arrived.connect(self._more.start, Qt.ConnectionType.QueuedConnection)
        self.online.connect(self._note_online)
        self.offline.connect(self._note_offline)
        self._reader = threading.Thread(target=self._read, name="forge-stream", daemon=True)

    def open(self) -> None:
        """Start reading; connecting happens in the background."""
        self._reader.start()

    @property
    def is_online(self) -> bool:
        """The controller answered last time."""
        return self._is_online

    @property
    def is_asking(self) -> bool:
        """A request is on its way, or its answer."""
        return self._unanswered > 0

    def ask(
        self,
        work: Callable[[Backend], Answer],
        done: Callable[[Answer], object] | None = None,
        failed: Callable[[ErrorBody], object] | None = None,
        owner: QObject | None = None,
    ) -> None:
        """Do `work` off the window's thread, then call `done` or `failed` on it, unless `owner` is gone by then."""
        if self._closing.is_set():
            return
        self._unanswered += 1
        self._pool.start(_Request(self, work, done, failed, owner, counts=True).run)

    def transfer(
        self,
        work: Callable[[Backend], Answer],
        done: Callable[[Answer], object],
        failed: Callable[[ErrorBody], object],
        owner: QObject,
    ) -> None:
        """The same for work that takes long, so that it keeps no request waiting."""
        if not self._closing.is_set():
            self._transfers.start(_Request(self, work, done, failed, owner).run)

    @property
    def closing(self) -> threading.Event:
        """Set when everything is to end; long work looks at it."""
        return self._closing

    def close(self) -> None:
        """End all threads; the controller and its runs go on."""
        self._closing.set()
        self._probe.stop()
        self._ready.set()
        if self._backend is not None:
            self._backend.close()
        for pool in (self._pool, self._transfers):
            pool.close(LAST_REQUEST_S)
        if self._reader.is_alive():
            self._reader.join(LAST_WAIT_S)

    def wait_for_backend(self) -> Backend:
        """For request threads: the backend, once there is one."""
        self._ready.wait(timeout=60)
        if self._backend is None or self._closing.is_set():
            raise UserError("controller.unreachable", detail="", log="")
        return self._backend

    @Slot()
    def _empty_inbox(self) -> None:
        """Hand on what came, until nothing is left or the turn has had its time."""
        end = time.perf_counter() + SLICE_S
        self._inbox.answer()
        try:
            while (item := self._inbox.take()) is not None:
                if callable(item):
                    item()
                elif not self._closing.is_set():
                    self._pass_on(item)
                if time.perf_counter() > end:
                    break
        finally:  # also where one of them fails
            if len(self._inbox):
                self._more.start()

    def do_soon(self, deed: Deed, line: bool = False) -> None:
        """For other threads: have something done on the window's thread, in its turn."""
        if self._inbox.put_deed(deed, line):
            self._arrived.emit()

    def _deliver(self, answer: _Request) -> None:
        self._unanswered -= answer.counts
        try:
            self._hand_over(answer)
        finally:
            answer.empty()

    def _hand_over(self, answer: _Request) -> None:
        if self._closing.is_set() or (answer.owner is not None and not shiboken6.isValid(answer.owner)):
            return
        if answer.error is not None and answer.error.code == UNREACHABLE and self._is_online:
            self.offline.emit(answer.error)  # the stream need not have noticed yet, or the controller hangs
            self._probe.start()
        if answer.error is None:
            if answer.done is not None:
                answer.done(answer.value)
        elif answer.failed is not None:
            answer.failed(answer.error)
        else:
            self.failed.emit(answer.error)

    @Slot()
    def _note_online(self) -> None:
        self._is_online = True

    @Slot(object)
    def _note_offline(self, _error: ErrorBody) -> None:
        self._is_online = False

    @Slot()
    def _look_again(self) -> None:
        """A request found nobody although the stream stands: see whether somebody answers by now."""
        if self._stream_is_up and not self._is_online:
            self.ask(lambda backend: backend.health(), lambda _health: self._found(), lambda _e: self._probe.start())

    def _found(self) -> None:
        if self._stream_is_up and not self._is_online:
            self.online.emit()

    def _read(self) -> None:
        backend = self._connected()
        if backend is None:
            return
        self._backend = backend
        self._ready.set()
        try:
            for message in backend.stream(0, self._line_changed):
                if self._closing.is_set():
                    return
                if self._inbox.put(message):
                    self._arrived.emit()
        except UserError as error:
            self._say_offline(error)

    def _connected(self) -> Backend | None:
        while not self._closing.is_set():
            try:
                return self._connect()
            except UserError as error:
                self._say_offline(error)
                self._closing.wait(RETRY_SECONDS)
        return None

    def _line_changed(self, up: bool) -> None:
        if self._closing.is_set():
            return
        self._stream_is_up = up
        if up:
            self.do_soon(self.online.emit, line=True)
        else:
            self._say_offline(UserError("controller.unreachable", detail="", log=""))

    def _say_offline(self, error: UserError) -> None:
        if not self._closing.is_set():
            self.do_soon(partial(self.offline.emit, error.body()), line=True)

    def _pass_on(self, message: StreamMessage) -> None:
        match message:
            case Points():
                self.points.emit(message)
            case RunChanged():
                self.run_changed.emit(message.run)
                if message.cursor is not None:
                    self.run_noted.emit(message.run.uid)
            case RunDeleted():
                self.run_deleted.emit(message.run)
            case RunEvent():
                self.run_event.emit(message)
            case LogGrew():
                self.log_grew.emit(message)
            case Resources():
                self.resources.emit(message)
            case SettingsChanged():
                self.settings_changed.emit(message.settings)
            case Hello():
                pass
            case _:
                self._pass_on_node(message)

    def _pass_on_node(self, message: StreamMessage) -> None:
        match message:
            case NodeChanged():
                self.node_changed.emit(message.node)
            case NodeRemoved():
                self.node_removed.emit(message.name)
            case NodeReading():
                self.node_reading.emit(message)
            case DoctorChecked():
                self.doctor_checked.emit(message)
            case MoveChanged():
                self.move_changed.emit(message.move)
            case AlertChanged():
                self.alert_changed.emit(message.alert)
            case AlertRulesChanged():
                self.alert_rules_changed.emit(message.rules)
            case TransferChanged():
                self.transfer_changed.emit(message.transfer)
            case DatasetChanged():
                self.dataset_changed.emit(message.dataset)
            case DatasetRemoved():
                self.dataset_removed.emit(message.uid)


class _Request:
    """A question and its answer. It goes to a pool thread and back; only the window's thread lets go of what it holds,

    since the last to let go of a widget destroys it, and a widget must not be destroyed on another thread.
    """

    def __init__(
        self,
        session: Session,
        work: Callable[[Backend], Any],
        done: Callable[[Any], object] | None,
        failed: Callable[[ErrorBody], object] | None,
        owner: QObject | None,
        counts: bool = False,
    ) -> None:
        self.session, self.work, self.done, self.failed, self.owner = session, work, done, failed, owner
        self.counts = counts
        self.value: Any = None
        self.error: ErrorBody | None = None

    def run(self) -> None:
        """The work, on a pool thread."""
        session = self.session
        try:
            self.value = self.work(session.wait_for_backend())
        except UserError as known:
            self.error = known.body()
        except Exception as bug:
            if not session.closing.is_set():  # else its connection was closed under it
                log.exception("a request failed")
            self.error = UserError("desktop.bug", detail=f"{type(bug).__name__}: {bug}").body()
        if not session.closing.is_set():
            session.do_soon(partial(session._deliver, self))

    def empty(self) -> None:
        """Let go of everything."""
        self.work = self.done = self.failed = self.owner = self.value = None  # type: ignore[assignment]
