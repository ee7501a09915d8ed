"""The queue as a list that can be put in another order; the controller has the last word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
    Slot,
)

from engine.contract.api import EditRun
from engine.contract.errors import ErrorBody
from engine.contract.listing import Queue, QueueEntry
from forge_desktop.bridge.session import Session
from forge_desktop.models.run_columns import priority_word
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import duration

Index = QModelIndex | QPersistentModelIndex
EntryRole = int(Qt.ItemDataRole.UserRole) + 1
MIME = "application/x-forge-queue-row"
REFRESH_MS = 250
AGE_MS = 15_000


class QueueModel(QAbstractListModel):
    """Waiting runs in the order they start. A move shows at once and goes back when it is refused."""

    loaded = Signal()
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.entries: list[QueueEntry] = []
        self._asked = 0
        self._refresh = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._refresh.timeout.connect(self.fetch)
        self._age = QTimer(self, interval=AGE_MS)
        self._age.timeout.connect(self._fetch_if_any)
        self._age.start()
        session.run_noted.connect(self._noted)
        session.run_deleted.connect(self._noted)
        session.online.connect(self.fetch)

    @Slot(str)
    def _noted(self, _uid: str) -> None:
        if not self._refresh.isActive():
            self._refresh.start()

    @Slot()
    def _fetch_if_any(self) -> None:
        if self.entries and self._session.is_online:
            self.fetch()

    @Slot()
    def fetch(self) -> None:
        """Ask again; an older answer that comes late is dropped."""
        self._asked += 1
        asked = self._asked
        self._session.ask(
            lambda backend: backend.queue(), lambda queue: self._got(asked, queue), self._fail, owner=self
        )

    def _got(self, asked: int, queue: Queue) -> None:
        if asked == self._asked:
            self._show(queue.entries)
            self.loaded.emit()

    def _fail(self, error: ErrorBody) -> None:
        self.failed.emit(error)

    def _show(self, entries: Sequence[QueueEntry]) -> None:
        if [entry.run.uid for entry in entries] == [entry.run.uid for entry in self.entries]:
            self.entries = list(entries)
            if self.entries:
                self.dataChanged.emit(self.index(0), self.index(len(self.entries) - 1))
            return
        self.beginResetModel()
        self.entries = list(entries)
        self.endResetModel()

    @property
    def wait(self) -> float | None:
        """Seconds until the last waiting run is likely to begin."""
        known = [entry.starts_in_seconds for entry in self.entries if entry.starts_in_seconds is not None]
        return max(known) if known else None

    def row_of(self, uid: str) -> int:
        """Where a run waits; -1 if it does not."""
        return next((row for row, entry in enumerate(self.entries) if entry.run.uid == uid), -1)

    def why_not(self, row: int, to: int) -> str:
        """Why a run cannot move to a place; empty if it can."""
        if not 0 <= row < len(self.entries) or not 0 <= to < len(self.entries):
            return tr("It cannot go further.")
        one, other = self.entries[row].run, self.entries[to].run
        if one.retry_at is not None or other.retry_at is not None:
            return tr("Runs that wait for a retry come last.")
        return "" if one.lane == other.lane else tr("Only runs that wait for the same slots have an order.")

    def move(self, row: int, to: int) -> None:
        """Let the run of a row have the place `to`; said to the controller, taken back if it refuses."""
        if row == to or self.why_not(row, to):
            return
        before, moved = list(self.entries), self.entries[row].run
        shown = [entry for entry in before if entry.run.uid != moved.uid]
        shown.insert(to, before[row])
        self._reorder(row, to, shown)
        follower = shown[to + 1].run if to + 1 < len(shown) else None
        following = follower is not None and follower.lane == moved.lane and follower.retry_at is None
        uid = follower.uid if follower is not None and following else None
        self._asked += 1
        asked = self._asked
        self._session.ask(
            lambda backend: backend.move_in_queue(moved.uid, uid),
            lambda queue: self._got(asked, queue),
            lambda error: self._take_back(before, error),
            owner=self,
        )

    def _reorder(self, row: int, to: int, shown: list[QueueEntry]) -> None:
        self.beginMoveRows(QModelIndex(), row, row, QModelIndex(), to + 1 if to > row else to)
        place = dict.fromkeys({entry.run.lane for entry in shown}, 0)
        self.entries = []
        for entry in shown:
            place[entry.run.lane] += 1
            self.entries.append(entry.model_copy(update={"position": place[entry.run.lane]}))
        self.endMoveRows()

    def _take_back(self, before: list[QueueEntry], error: ErrorBody) -> None:
        self._show(before)
        self.failed.emit(error)
        self.fetch()

    def set_priority(self, uid: str, priority: int) -> None:
        """Another priority; the order follows."""
        self._session.ask(
            lambda backend: backend.edit(uid, EditRun(priority=priority)),
            lambda _run: self.fetch(),
            self._fail,
            owner=self,
        )

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if not index.isValid() or index.row() >= len(self.entries):
            return None
        entry = self.entries[index.row()]
        if role == EntryRole:
            return entry
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            priority = word("priority", priority_word(entry.run.priority))
            return f"{entry.position}, {entry.run.name}, {priority}, {starts_text(entry)}"
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Qt's own hook: rows can be dragged, and dropped between others."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled

    def supportedDropActions(self) -> Qt.DropAction:
        """Qt's own hook."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        """Qt's own hook."""
        return [MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """Qt's own hook: the run that is dragged."""
        data = QMimeData()
        data.setData(MIME, self.entries[indexes[0].row()].run.uid.encode() if indexes else b"")
        return data

    def dropMimeData(self, data: QMimeData, _action: Qt.DropAction, row: int, _column: int, parent: Index) -> bool:
        """Qt's own hook: the run goes where it was dropped. False: the view removes nothing, the model did it."""
        here = self.row_of(bytes(data.data(MIME).data()).decode())
        between = row if row >= 0 else parent.row() if parent.isValid() else len(self.entries)
        if here >= 0:
            self.move(here, between - 1 if between > here else between)
        return False


def starts_text(entry: QueueEntry) -> str:
    """When it is likely to begin."""
    if entry.starts_in_seconds is None:
        return "—"
    return tr("soon") if entry.starts_in_seconds < 1 else f"≈ {duration(entry.starts_in_seconds)}"
