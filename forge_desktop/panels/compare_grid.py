"""A table with a column a run: figures with the best marked, settings with the changed ones marked."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QTableView

from forge_desktop.models.compare_table import Line
from forge_desktop.panels.compare_cell import CompareCell
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import tokens, ui_font

Index = QModelIndex | QPersistentModelIndex
ROW, NARROW = 34, 130
BEST, UNLIKE = "★ ", "≠ "
"""Marks before a value, so that colour alone says nothing."""


class GridModel(QAbstractTableModel):
    """Lines of `models.compare_table` as a table."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[str] = []
        self.cut: list[str] = []
        """Heads as they fit into their columns."""
        self.lines: list[Line] = []

    def show(self, heads: list[str], lines: list[Line]) -> None:
        """Show other lines; where only values changed, selection and place stay."""
        same = heads == self.heads and [one.key for one in lines] == [one.key for one in self.lines]
        if same and lines == self.lines:
            return
        if not same:
            self.beginResetModel()
        self.heads, self.lines = heads, lines
        self.cut = self.cut if same else []
        if not same:
            self.endResetModel()
        elif lines:
            self.dataChanged.emit(self.index(0, 0), self.index(len(lines) - 1, len(heads) - 1))

    def fit_heads(self, cut: list[str]) -> None:
        """Show the heads shortened."""
        if cut != self.cut:
            self.cut = cut
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, max(0, len(cut) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.heads)

    def headerData(self, section: int, way: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if way is Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.cut[section] if section < len(self.cut) else self.heads[section]
            if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
                return self.heads[section]
            return (
                int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
                if role == Qt.ItemDataRole.TextAlignmentRole
                else None
            )
        if role == Qt.ItemDataRole.DisplayRole:
            return self.lines[section].title
        return self.lines[section].key if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        line, column = self.lines[index.row()], index.column()
        value = line.values[column] if column < len(line.values) else ""
        best, unlike = column in line.best, column in line.unlike
        t = tokens()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return f"{BEST if best else UNLIKE if unlike else ''}{value}"
            case Qt.ItemDataRole.ToolTipRole:
                return value
            case Qt.ItemDataRole.AccessibleTextRole:
                mark = tr("best") if best else tr("unlike the first run") if unlike else ""
                return f"{labelled(line.title, value)} {mark}".strip()
            case Qt.ItemDataRole.ForegroundRole:
                return QColor(t.ok_text if best else t.text if unlike else t.secondary)
            case Qt.ItemDataRole.BackgroundRole:
                return QColor(t.warn_soft) if unlike else None
            case Qt.ItemDataRole.FontRole:
                return _strong() if best or unlike else None
        return None


def _strong() -> QFont:
    return ui_font(13, 600)


class CompareGrid(QTableView):
    """As high as its rows, so that the page scrolls and not the table; Ctrl+C copies."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.grid = GridModel()
        self.setModel(self.grid)
        self.setItemDelegate(CompareCell(self))
        self.setProperty("role", "compare")
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.verticalHeader().setDefaultSectionSize(ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.verticalHeader().setFixedWidth(210)
        self.horizontalHeader().setMinimumSectionSize(NARROW)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)
        self.verticalHeader().setHighlightSections(False)
        self.setCornerButtonEnabled(False)
        self.setTabKeyNavigation(False)

    def show_lines(self, heads: list[str], lines: list[Line]) -> None:
        """Show other lines."""
        self.grid.show(heads, lines)
        bar = 12 if len(heads) * NARROW > self.viewport().width() else 2
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + ROW * len(lines) + bar)

        self._fit_heads()

    def _fit_heads(self) -> None:
        header = self.horizontalHeader()
        letters = QFontMetrics(header.font())
        room = [header.sectionSize(place) - 24 for place in range(len(self.grid.heads))]
        right = Qt.TextElideMode.ElideRight
        cut = [letters.elidedText(text, right, max(40, wide)) for text, wide in
               zip(self.grid.heads, room, strict=True)]  # fmt: skip
        self.grid.fit_heads(cut)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._fit_heads()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: copy what is selected, tabs between columns."""
        if not event.matches(QKeySequence.StandardKey.Copy):
            super().keyPressEvent(event)
            return
        rows: dict[int, list[str]] = {}
        for index in sorted(self.selectedIndexes(), key=lambda one: (one.row(), one.column())):
            rows.setdefault(index.row(), []).append(self.grid.lines[index.row()].values[index.column()])
        QApplication.clipboard().setText("\n".join("\t".join(row) for row in rows.values()))
