"""A table of records: sorted by its heads, driven by keys; columns go where room is short.

A cell is painted by the delegate that a table brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QItemSelectionRange,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from forge_desktop.models.record_model import Column, RecordModel
from forge_desktop.theme.look import tokens
from forge_desktop.theme.tokens import ROW_HEIGHT

Index = QModelIndex | QPersistentModelIndex
Flag = QItemSelectionModel.SelectionFlag
HEAD, LEAST_ROWS = 38, 4


class RecordCells(QStyledItemDelegate):
    """Paints ground and marks of a row; `paint_cell` the rest."""

    edge = 16

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(60, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        model = index.model()
        if not isinstance(model, RecordModel) or (record := model.record_at(index)) is None:
            return
        column = model.columns[index.column()]
        painter.save()
        paint_ground(painter, option, index)
        left = self.edge if index.column() == 0 else 12
        box = option.rect.adjusted(left, 0, -12 if column.right else -8, 0)
        self.paint_cell(painter, box, record, column)
        painter.restore()

    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """Draw one cell."""
        raise NotImplementedError


def paint_ground(painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
    """Marked, under the mouse, or plain; a bar at the left where the keyboard is."""
    t, box = tokens(), option.rect
    if option.state & QStyle.StateFlag.State_Selected:
        painter.fillRect(box, QColor(t.accent_soft))
    elif option.state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(box, QColor(t.surface2))
    painter.setPen(QColor(t.border))
    painter.drawLine(box.left(), box.bottom(), box.right(), box.bottom())
    view = option.widget
    first = index.column() == 0
    if first and isinstance(view, QAbstractItemView) and view.hasFocus() and view.currentIndex().row() == index.row():
        painter.fillRect(QRect(box.left(), box.top(), 3, box.height() - 1), QColor(t.accent))


class RecordTable(QTableView):
    """Marks and the place of the keyboard stay with a record when rows come or go."""

    opened = Signal(object)
    menu_wanted = Signal(object, QPoint)
    """Record, and where on the screen."""
    picked_changed = Signal()

    def __init__(
        self, model: RecordModel, cells: RecordCells, name: str, title: str, stretched: str, least: int
    ) -> None:
        super().__init__()
        self._model, self._stretched, self._least = model, stretched, least
        self._kept: list[str] = []
        self._current, self._scrolled, self._setting = "", 0, False
        self.setObjectName(name)
        self.setAccessibleName(title)
        own = self.make_header()
        if own is not None:
            self.setHorizontalHeader(own)
        self.setModel(model)
        cells.setParent(self)
        self.setItemDelegate(cells)
        self._set_up(own is None)
        self.doubleClicked.connect(self._open)
        self.customContextMenuRequested.connect(self._menu_at)
        self.selectionModel().selectionChanged.connect(self._tell)
        model.modelAboutToBeReset.connect(self._keep)
        model.modelReset.connect(self._restore)
        model.headerDataChanged.connect(self._fit)

    def make_header(self) -> QHeaderView | None:
        """A header of its own; None for the plain one, where a click sorts."""
        return None

    def _set_up(self, plain: bool) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(HEAD + LEAST_ROWS * ROW_HEIGHT)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        if plain:
            header.setHighlightSections(False)
            header.setSectionsClickable(True)
            header.setMinimumSectionSize(40)
            header.setFixedHeight(HEAD)
            header.sectionClicked.connect(self._head_clicked)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(self._place(self._stretched), QHeaderView.ResizeMode.Stretch)

    def _place(self, key: str) -> int:
        return next((place for place, column in enumerate(self._model.columns) if column.key == key), -1)

    def _head_clicked(self, place: int) -> None:
        if self._model.columns[place].title and self._model.columns[place].key != "more":
            self._model.sort_by(self._model.columns[place].key)

    def picked(self) -> list[Any]:
        """The marked ones, from top to bottom."""
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self._model.rows[row] for row in rows if row < len(self._model.rows)]

    def pick(self, keys: Sequence[str]) -> None:
        """Mark these."""
        marks, last, wanted = QItemSelection(), len(self._model.columns) - 1, set(keys)
        for row, record in enumerate(self._model.rows):
            if self._model.key_of(record) in wanted:
                marks.append(QItemSelectionRange(self._model.index(row, 0), self._model.index(row, last)))
        self.selectionModel().select(marks, Flag.ClearAndSelect)

    @Slot()
    def _keep(self) -> None:
        if not self._setting:
            self._kept = [self._model.key_of(one) for one in self.picked()]
            current = self._model.record_at(self.currentIndex())
            self._current = self._model.key_of(current) if current is not None else ""
            self._scrolled = self.verticalScrollBar().value()
        self._setting = True

    @Slot()
    def _restore(self) -> None:
        for row, record in enumerate(self._model.rows):
            if self._current and self._model.key_of(record) == self._current:
                self.selectionModel().setCurrentIndex(self._model.index(row, 0), Flag.NoUpdate)
        self.pick(self._kept)
        self.verticalScrollBar().setValue(self._scrolled)
        self._setting = False
        self.picked_changed.emit()

    @Slot()
    def _tell(self, *_marks: object) -> None:
        if not self._setting:
            self.picked_changed.emit()

    def _open(self, index: QModelIndex) -> None:
        record = self._model.record_at(index)
        if record is not None:
            self.opened.emit(record)

    @Slot(QPoint)
    def _menu_at(self, place: QPoint) -> None:
        record = self._model.record_at(self.indexAt(place))
        if record is not None:
            self.menu_wanted.emit(record, self.viewport().mapToGlobal(place))

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: Escape while some are picked is not for the window."""
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if escape and event.type() == QEvent.Type.ShortcutOverride and self.selectionModel().hasSelection():
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        key, index, plain = event.key(), self.currentIndex(), event.modifiers()
        menu = key == Qt.Key.Key_Menu or (key == Qt.Key.Key_F10 and bool(plain & Qt.KeyboardModifier.ShiftModifier))
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid():
            self._open(index)
        elif menu and index.isValid():
            self._menu_at(self.visualRect(index).bottomLeft() + QPoint(16, -8))
        elif key == Qt.Key.Key_Escape and self.selectionModel().hasSelection():
            self.clearSelection()
        elif key == Qt.Key.Key_S and plain & Qt.KeyboardModifier.ControlModifier and index.isValid():
            self._head_clicked(index.column())
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the button of a row opens its menu and picks nothing."""
        index = self.indexAt(event.position().toPoint())
        plain = event.button() == Qt.MouseButton.LeftButton and not event.modifiers()
        if plain and index.isValid() and self._model.columns[index.column()].key == "more":
            self._menu_at(self.visualRect(index).bottomLeft() - QPoint(0, 8))
            return
        super().mousePressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook: somebody who comes by keyboard stands on a row."""
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self._model.rows:
            self.selectionModel().setCurrentIndex(self._model.index(0, 0), Flag.NoUpdate)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook."""
        super().focusOutEvent(event)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self, *_what: object) -> None:
        """Where room is short, the least wanted columns go; a heading is never cut."""
        header, room, columns = self.horizontalHeader(), self.viewport().width(), self._model.columns
        letters = header.fontMetrics()
        widths = {}
        for place, column in enumerate(columns):
            title = str(self._model.headerData(place, Qt.Orientation.Horizontal) or "")
            widths[column.key] = max(column.width, letters.horizontalAdvance(title) + 34 if title else 0)
        shown = list(columns)
        needed = sum(widths[column.key] for column in shown if column.key != self._stretched) + self._least
        for column in sorted((one for one in columns if one.rank), key=lambda one: -one.rank):
            if needed > room:
                shown.remove(column)
                needed -= widths[column.key]
        for place, column in enumerate(columns):
            self.setColumnHidden(place, column not in shown)
            if column.key != self._stretched:
                header.resizeSection(place, widths[column.key])
