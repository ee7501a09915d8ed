"""The table of runs: a window onto a list of any length that keeps its place and its marks while runs move."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from engine.contract.api import RunSummary
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.picked import Picked
from forge_desktop.models.run_columns import COLUMNS, PLACE
from forge_desktop.models.runs_model import RunRole, RunsModel
from forge_desktop.panels.run_cells import RunDelegate
from forge_desktop.panels.run_selection import RunSelection
from forge_desktop.panels.runs_header import HEIGHT, RunsHeader
from forge_desktop.theme.language import tr
from forge_desktop.theme.tokens import ROW_HEIGHT

Index = QModelIndex | QPersistentModelIndex
LEAST_ROWS = 6
Modifier = Qt.KeyboardModifier


class RunsTable(QTableView):
    """The list of runs; Enter or a double click opens one, the menu key or … shows what can be done."""

    opened = Signal(str)
    menu_wanted = Signal(object, QPoint)
    """RunSummary, and where on the screen."""
    _clears = False
    """The command that comes now unmarks everything else first."""

    def __init__(
        self, model: RunsModel, picked: Picked, preferences: Preferences, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._place: tuple[str, int] | None = None
        self._current = ""
        self._set_up()
        self.header = RunsHeader(preferences, self)
        self.setHorizontalHeader(self.header)
        self.setModel(model)
        self.header.restore()
        self.selection = RunSelection(model, self.selectionModel(), picked, self._taken, self)
        self.header.sort_wanted.connect(model.set_sort)
        self.doubleClicked.connect(self._open)
        self.customContextMenuRequested.connect(self._menu_at)
        model.arranging.connect(self._note_place)
        model.arranged.connect(self._arranged)
        self.verticalScrollBar().valueChanged.connect(self._look)

    def _set_up(self) -> None:
        self.setObjectName("runs.table")
        self.setAccessibleName(tr("Runs"))
        self.setItemDelegate(RunDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setMinimumHeight(HEIGHT + LEAST_ROWS * ROW_HEIGHT + 2)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(ROW_HEIGHT)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)

    def _open(self, index: QModelIndex) -> None:
        run = index.data(RunRole)
        if isinstance(run, RunSummary):
            self.opened.emit(run.uid)

    @Slot()
    def _look(self) -> None:
        """Tell the model which rows are seen."""
        first = self.verticalScrollBar().value() // ROW_HEIGHT
        self._model.look_at(first, first + self.viewport().height() // ROW_HEIGHT + 1)

    @Slot()
    def _note_place(self) -> None:
        value = self.verticalScrollBar().value()
        top = self._model.run_in(value // ROW_HEIGHT)
        self._place = (top.uid, value // ROW_HEIGHT) if top is not None and value else None
        current = self._model.run_at(self.currentIndex())
        self._current = current.uid if current is not None else self._current

    @Slot(bool)
    def _arranged(self, other: bool) -> None:
        """Runs may stand elsewhere: go with the one at the top, unless the top of the list itself was seen."""
        bar = self.verticalScrollBar()
        if other:
            self.scrollToTop()
        elif self._place is not None and (row := self._model.row_of(self._place[0])) is not None:
            bar.setValue(bar.value() + (row - self._place[1]) * ROW_HEIGHT)
        row = self._model.row_of(self._current) if self._current else None
        if row is not None and row != self.currentIndex().row():
            index = self._model.index(row, max(0, self.currentIndex().column()))
            keep = self.hasAutoScroll()
            self.setAutoScroll(False)
            self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.setAutoScroll(keep)
        self._look()

    def selectionCommand(self, index: Index, event: QEvent | None = None) -> QItemSelectionModel.SelectionFlag:
        """Qt's own hook: note whether what is picked so far is given up."""
        command = super().selectionCommand(index, event)
        self._clears = bool(command & QItemSelectionModel.SelectionFlag.Clear)
        return command

    def _taken(self) -> bool:
        clears, self._clears = self._clears, False
        return clears

    def selectAll(self) -> None:
        """Qt's own hook: also what is not here."""
        self.selection.pick_all()

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: Escape while several are picked, and Alt with an arrow, are not for the window."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            sideways = event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right)
            own = event.key() == Qt.Key.Key_Escape and len(self.selection.picked) > 1
            own = own or (sideways and bool(event.modifiers() & Modifier.AltModifier))
            if own:
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        key, held = event.key(), event.modifiers()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
        elif key == Qt.Key.Key_Menu or (key == Qt.Key.Key_F10 and held & Modifier.ShiftModifier):
            self._menu_of_current()
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and held & Modifier.AltModifier:
            column = COLUMNS[max(0, self.currentIndex().column())].key
            self.header.move_column(column, -1 if key == Qt.Key.Key_Left else 1)
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.selectAll()
        elif key == Qt.Key.Key_Escape and len(self.selection.picked) > 1:
            self.selection.picked.clear()
        else:
            super().keyPressEvent(event)

    def _menu_of_current(self) -> None:
        run = self._model.run_at(self.currentIndex())
        if run is not None:
            box = self.visualRect(self.currentIndex())
            self.menu_wanted.emit(run, self.viewport().mapToGlobal(box.bottomLeft() + QPoint(16, -8)))

    @Slot(QPoint)
    def _menu_at(self, place: QPoint) -> None:
        run = self._model.run_at(self.indexAt(place))
        if run is not None:
            self.menu_wanted.emit(run, self.viewport().mapToGlobal(place))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the button of a row opens its menu and picks nothing."""
        index = self.indexAt(event.position().toPoint())
        plain = event.button() == Qt.MouseButton.LeftButton and not event.modifiers()
        run = self._model.run_at(index)
        if plain and run is not None and index.column() == PLACE["more"]:
            box = self.visualRect(index)
            self.menu_wanted.emit(run, self.viewport().mapToGlobal(box.bottomLeft() - QPoint(0, 8)))
            return
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the button of a row looks like one."""
        over = self.indexAt(event.position().toPoint()).column() == PLACE["more"]
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
        super().mouseMoveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook: somebody who comes by keyboard stands on a row."""
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self._model.total:
            index = self._model.index(0, 0)
            self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook."""
        super().focusOutEvent(event)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self.header.fit()
        self._look()
