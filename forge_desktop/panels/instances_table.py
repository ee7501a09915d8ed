"""The table of instances: several can be picked, Enter opens the run, the menu key shows what can be done."""

from __future__ import annotations

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

from engine.contract.nodes import Instance
from forge_desktop.models.instance_words import KIND_ICONS, below_run, cell_text, chip_of, kind_text, run_text
from forge_desktop.models.instances_model import COLUMNS, PLACE, InstanceRole, InstancesModel
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.tokens import ROW_HEIGHT

Index = QModelIndex | QPersistentModelIndex
Flag = QItemSelectionModel.SelectionFlag
HEAD, EDGE, LEAST_ROWS, LEAST_RUN = 38, 16, 4, 150
Modifier = Qt.KeyboardModifier


class _Cells(QStyledItemDelegate):
    """Paints the cells."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(60, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        one = index.data(InstanceRole)
        if not isinstance(one, Instance):
            return
        column = COLUMNS[index.column()]
        painter.save()
        _paint_ground(painter, option, index)
        box = option.rect.adjusted(EDGE if column.key == "kind" else 12, 0, -12 if column.right else -8, 0)
        _paint_cell(painter, box, one, column.key, column.right)
        painter.restore()


def _paint_ground(painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
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


def _paint_cell(painter: QPainter, box: QRect, one: Instance, key: str, right: bool) -> None:
    t, half = tokens(), box.height() // 2
    faint = one.state in ("exited", "gone", "unreachable")
    ink = t.secondary if faint else t.text
    match key:
        case "kind":
            painter.drawPixmap(box.left(), box.center().y() - 7, icons.pixmap(KIND_ICONS[one.kind], t.secondary, 16))
            paint_text(painter, box.adjusted(24, 0, 0, 0), kind_text(one), ink)
        case "run":
            name = QRect(box.left(), box.top() + 6, box.width(), half - 6)
            paint_text(painter, name, run_text(one), ink, 600)
            below = QRect(box.left(), box.top() + half, box.width(), half - 7)
            paint_text(painter, below, below_run(one), t.muted, pixels=12)
        case "node":
            painter.drawPixmap(box.left(), box.center().y() - 6, icons.pixmap("server", t.muted, 14))
            paint_text(painter, box.adjusted(21, 0, 0, 0), cell_text(one, key), t.secondary)
        case "state":
            paint_chip(painter, box.left(), box.center().y() - 11, *chip_of(one), most=box.width())
        case "more":
            painter.drawPixmap(box.center().x() - 8, box.center().y() - 7, icons.pixmap("ellipsis", t.secondary, 16))
        case _:
            text = cell_text(one, key)
            colour = t.muted if text == "—" else ink if right else t.secondary
            paint_text(painter, box, text, colour, 500 if right else 400, align=RIGHT if right else LEFT)


class InstancesTable(QTableView):
    """Marks and the place of the keyboard stay with an instance when rows come or go."""

    opened = Signal(object)
    """Instance."""
    menu_wanted = Signal(object, QPoint)
    """Instance, and where on the screen."""
    picked_changed = Signal()

    def __init__(self, model: InstancesModel) -> None:
        super().__init__()
        self._model = model
        self._kept: list[str] = []
        self._current, self._scrolled, self._setting = "", 0, False
        self.setObjectName("instances.table")
        self.setAccessibleName(tr("Instances"))
        self.setModel(model)
        self.setItemDelegate(_Cells(self))
        self._set_up()
        self.doubleClicked.connect(self._open)
        self.customContextMenuRequested.connect(self._menu_at)
        self.selectionModel().selectionChanged.connect(self._tell)
        model.modelAboutToBeReset.connect(self._keep)
        model.modelReset.connect(self._restore)

    def _set_up(self) -> None:
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
        header.setHighlightSections(False)
        header.setSectionsClickable(False)
        header.setMinimumSectionSize(40)
        header.setFixedHeight(HEAD)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(PLACE["run"], QHeaderView.ResizeMode.Stretch)

    def picked(self) -> list[Instance]:
        """The marked ones, from top to bottom."""
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self._model.rows[row] for row in rows if row < len(self._model.rows)]

    def pick(self, names: list[str]) -> None:
        """Mark these."""
        marks, last = QItemSelection(), len(COLUMNS) - 1
        for row in sorted(row for name in names if (row := self._model.row_of(name)) >= 0):
            marks.append(QItemSelectionRange(self._model.index(row, 0), self._model.index(row, last)))
        self.selectionModel().select(marks, Flag.ClearAndSelect)

    @Slot()
    def _keep(self) -> None:
        if not self._setting:
            self._kept = [one.id for one in self.picked()]
            current = self._model.instance_at(self.currentIndex())
            self._current = current.id if current is not None else ""
            self._scrolled = self.verticalScrollBar().value()
        self._setting = True

    @Slot()
    def _restore(self) -> None:
        row = self._model.row_of(self._current) if self._current else -1
        if row >= 0:
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
        one = self._model.instance_at(index)
        if one is not None:
            self.opened.emit(one)

    @Slot(QPoint)
    def _menu_at(self, place: QPoint) -> None:
        one = self._model.instance_at(self.indexAt(place))
        if one is not None:
            self.menu_wanted.emit(one, self.viewport().mapToGlobal(place))

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: Escape while some are picked is not for the window."""
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if escape and event.type() == QEvent.Type.ShortcutOverride and self.selectionModel().hasSelection():
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        key, index = event.key(), self.currentIndex()
        menu = key == Qt.Key.Key_Menu or (key == Qt.Key.Key_F10 and bool(event.modifiers() & Modifier.ShiftModifier))
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid():
            self._open(index)
        elif menu and index.isValid():
            self._menu_at(self.visualRect(index).bottomLeft() + QPoint(16, -8))
        elif key == Qt.Key.Key_Escape and self.selectionModel().hasSelection():
            self.clearSelection()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the button of a row opens its menu and picks nothing."""
        index = self.indexAt(event.position().toPoint())
        plain = event.button() == Qt.MouseButton.LeftButton and not event.modifiers()
        if plain and index.isValid() and index.column() == PLACE["more"]:
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

    def _fit(self) -> None:
        """Where room is short, the least wanted columns go; a heading is never cut."""
        header, room = self.horizontalHeader(), self.viewport().width()
        letters = header.fontMetrics()
        widths = {}
        for place, column in enumerate(COLUMNS):
            title = str(self._model.headerData(place, Qt.Orientation.Horizontal) or "")
            widths[column.key] = max(column.width, letters.horizontalAdvance(title) + 34 if title else 0)
        shown = list(COLUMNS)
        needed = sum(widths[column.key] for column in shown if column.key != "run") + LEAST_RUN
        for column in sorted((one for one in COLUMNS if one.rank), key=lambda one: -one.rank):
            if needed > room:
                shown.remove(column)
                needed -= widths[column.key]
        for place, column in enumerate(COLUMNS):
            self.setColumnHidden(place, column not in shown)
            if column.key != "run":
                header.resizeSection(place, widths[column.key])
