"""The notices as rows of a list, a heading above each day."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Slot

from forge_desktop.models.notice_book import NoticeBook
from forge_desktop.models.notices import Notice, text, title
from forge_desktop.theme.language import sentences, tr
from forge_desktop.theme.measures import moment

Index = QModelIndex | QPersistentModelIndex
NoticeRole = int(Qt.ItemDataRole.UserRole) + 1
Row = str | Notice
"""The name of a day, or a notice."""


class NoticeRows(QAbstractListModel):
    """Follows a book; shows one kind or all."""

    def __init__(self, book: NoticeBook, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._book, self._kind = book, "all"
        self._rows: list[Row] = []
        book.changed.connect(self.refresh)
        self.refresh()

    def show_kind(self, kind: str) -> None:
        """all, start, completion, failure or alert."""
        self._kind = kind
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Read the book again."""
        rows: list[Row] = []
        day = ""
        for notice in sorted(self._book.list, key=lambda one: -one.at):
            if self._kind not in ("all", notice.kind):
                continue
            found = day_name(notice.at)
            if found != day:
                day = found
                rows.append(day)
            rows.append(notice)
        if [_mark(row) for row in rows] == [_mark(row) for row in self._rows] and rows:
            self._rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def notice_at(self, index: Index) -> Notice | None:
        """The notice of a row; None for a day's heading."""
        row = self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else ""
        return row if isinstance(row, Notice) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Qt's own hook: a heading cannot be chosen."""
        if self.notice_at(index) is None:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == NoticeRole:
            return row
        if isinstance(row, str):
            return row if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole) else None
        if role == Qt.ItemDataRole.DisplayRole:
            return title(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return sentences(f"{title(row)}.", text(row), moment(row.at), "" if row.read else tr("Unread."))
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(filter(None, (title(row), text(row), moment(row.at))))
        return None


def day_name(at: float) -> str:
    """Today, yesterday, or the date."""
    day, today = date.fromtimestamp(at), date.fromtimestamp(time.time())
    if day == today:
        return tr("Today")
    return tr("Yesterday") if day == today - timedelta(days=1) else day.isoformat()


def _mark(row: Row) -> str:
    return row if isinstance(row, str) else row.key
