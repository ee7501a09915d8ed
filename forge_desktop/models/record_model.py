"""Records as rows of a table: what all models of such tables share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.plain_tip import plain_tip

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Column:
    """One column; `rank` 0 stays longest where room is short."""

    key: str
    title: str
    width: int
    rank: int = 0
    right: bool = False


class RecordModel(QAbstractTableModel):
    """Base of the models such a table shows."""

    columns: Sequence[Column] = ()
    sorted_by = ""
    descending = False

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Any] = []

    def key_of(self, record: Any) -> str:
        """What a record is known by."""
        raise NotImplementedError

    def sort_by(self, key: str) -> None:
        """Sort by a column, or the other way round; models that cannot ignore it."""

    def record_at(self, index: Index) -> Any:
        """The record of a row; None for none."""
        return self.rows[index.row()] if index.isValid() and index.row() < len(self.rows) else None

    def cell_text(self, record: Any, key: str) -> str:
        """What a cell says."""
        raise NotImplementedError

    def tip_of(self, record: Any, key: str) -> str:
        """More about a cell."""
        return self.cell_text(record, key)

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            arrow = ("↓" if self.descending else "↑") if column.key == self.sorted_by else ""
            return "" if column.key == "more" else f"{tr(column.title)} {arrow}".rstrip()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return Qt.AlignmentFlag.AlignVCenter | side
        return tr(column.title) if role == Qt.ItemDataRole.AccessibleTextRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        one = self.record_at(index)
        if one is None:
            return None
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.cell_text(one, column.key)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return labelled(tr(column.title), self.cell_text(one, column.key))
        return plain_tip(self.tip_of(one, column.key)) if role == Qt.ItemDataRole.ToolTipRole else None
