"""The library of datasets as rows of a table: sorted and searched by the controller, kept true by the stream."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QModelIndex, QObject, Qt, QTimer, Signal, Slot

from engine.contract.datasets import DatasetPage, DatasetView, EditDataset
from forge_desktop.bridge.session import Session
from forge_desktop.models.dataset_words import cell_text, health
from forge_desktop.models.record_model import Column, RecordModel
from forge_desktop.theme.measures import moment

PAGE = 500
SEARCH_MS = 150


COLUMNS = (
    Column("name", "Name", 240),
    Column("format", "Format", 150, 2),
    Column("rows", "Rows", 96, right=True),
    Column("tokens", "Tokens", 84, 5, right=True),
    Column("bytes", "Size", 98, 4, right=True),
    Column("health", "Health", 168),
    Column("versions", "Version", 76, 3, right=True),
    Column("used_by", "Used by", 84, 6, right=True),
    Column("changed", "Changed", 108, 1, right=True),
    Column("more", "More", 50),
)
PLACE = {column.key: place for place, column in enumerate(COLUMNS)}
FALLING = ("rows", "tokens", "bytes", "health", "versions", "used_by", "changed")
"""Columns whose greatest value comes first at the first click."""


class DatasetsModel(RecordModel):
    """Rows keep their place while figures change."""

    columns = COLUMNS

    loaded = Signal()
    failed = Signal(object)
    """ErrorBody: the library could not be asked for."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.total = 0
        self.search, self.sorted_by, self.descending = "", "changed", True
        self.has_loaded = False
        self._asked = 0
        self._soon = QTimer(self, singleShot=True, interval=SEARCH_MS)
        self._soon.timeout.connect(self.fetch)
        session.dataset_changed.connect(self._changed)
        session.dataset_removed.connect(self._removed)
        session.online.connect(self.fetch)

    @Slot()
    def fetch(self) -> None:
        """Ask again."""
        self._asked += 1
        number, wanted = self._asked, (self.search, self.sorted_by, self.descending, 0, PAGE)
        self._session.ask(
            lambda backend: backend.datasets(*wanted),
            lambda page: self._got(number, page),
            lambda error: self.failed.emit(error) if number == self._asked else None,
            owner=self,
        )

    def look_for(self, text: str) -> None:
        """Show those with these words."""
        if text != self.search:
            self.search = text
            self._soon.start()

    def sort_by(self, key: str) -> None:
        """Sort by a column, or the other way round."""
        self.descending = not self.descending if key == self.sorted_by else key in FALLING
        self.sorted_by = key
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)
        self.fetch()

    def _got(self, number: int, page: DatasetPage) -> None:
        if number != self._asked:
            return
        self.beginResetModel()
        self.rows, self.total, self.has_loaded = list(page.datasets), page.total, True
        self.endResetModel()
        self.loaded.emit()

    @Slot(object)
    def _changed(self, view: DatasetView) -> None:
        place = self.row_of(view.uid)
        if place < 0:
            self._soon.start()
            return
        self.rows[place] = view
        self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))
        self.loaded.emit()

    @Slot(str)
    def _removed(self, uid: str) -> None:
        place = self.row_of(uid)
        if place >= 0:
            self.beginRemoveRows(QModelIndex(), place, place)
            del self.rows[place]
            self.total -= 1
            self.endRemoveRows()
            self.loaded.emit()

    def edit(self, uid: str, change: EditDataset, failed: Any) -> None:
        """Rename it, or say something else about it."""
        self._session.ask(lambda backend: backend.edit_dataset(uid, change), self._changed, failed, owner=self)

    def delete(self, uid: str, failed: Any) -> None:
        """Delete it with all its versions."""
        self._session.ask(lambda backend: backend.delete_dataset(uid), lambda _: self._removed(uid), failed, owner=self)

    def row_of(self, uid: str) -> int:
        """Where it stands; -1 if it is not shown."""
        return next((row for row, one in enumerate(self.rows) if one.uid == uid), -1)

    def key_of(self, record: DatasetView) -> str:
        """What a dataset is known by."""
        return record.uid

    def cell_text(self, record: DatasetView, key: str) -> str:
        """What a cell says."""
        return cell_text(record, key)

    def tip_of(self, record: DatasetView, key: str) -> str:
        """More about a cell."""
        return _tip(record, key)


def _tip(one: DatasetView, key: str) -> str:
    match key:
        case "changed":
            return moment(one.changed)
        case "health":
            return health(one.newest)[2]
        case "name":
            return one.notes or one.name
    return ""
