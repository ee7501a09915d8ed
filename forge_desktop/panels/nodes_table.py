"""The nodes as a table: a line each, sortable; Enter or a double click opens the doctor, the menu key the menu."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from engine.contract.nodes import NodeView
from forge_desktop.models.node_figures import Figures, figures_of
from forge_desktop.models.node_words import condition, gpu_text, price_text, runs_line, title_of
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.panels.node_actions import menu_of
from forge_desktop.panels.node_card import SILENT, power_text, size_of
from forge_desktop.panels.node_look import chip_of
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import percent

Index = QModelIndex | QPersistentModelIndex
COLUMNS = (
    ("name", "Node"), ("state", "State"), ("kind", "Reached by"), ("gpus", "Devices"), ("busy", "Utilisation"),
    ("memory", "Memory"), ("temperature", "Temperature"), ("power", "Power"), ("runs", "Runs"), ("price", "Price"),
)  # fmt: skip
WIDTHS = {"name": 116, "state": 128, "kind": 124, "gpus": 140, "busy": 88, "memory": 118, "temperature": 98,
          "power": 108, "runs": 130, "price": 110}  # fmt: skip
DROPS = ((1300, "kind"), (1000, "power"), (1000, "price"))
"""Below such a width a column is left out."""
ROW = 44
NodeRole = int(Qt.ItemDataRole.UserRole) + 1


class NodesTableModel(QAbstractTableModel):
    """What the cells say."""

    def __init__(self, nodes: NodesModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._nodes = nodes
        self._column, self._order = -1, Qt.SortOrder.AscendingOrder
        self._names = self._sorted()
        nodes.changed.connect(self._all_changed)
        nodes.node_changed.connect(self._one_changed)
        nodes.reading_came.connect(self._one_changed)

    @Slot()
    def _all_changed(self) -> None:
        self.beginResetModel()
        self._names = self._sorted()
        self.endResetModel()

    def _sorted(self) -> list[str]:
        nodes = self._nodes.nodes
        if 0 <= self._column < len(COLUMNS):
            key = COLUMNS[self._column][0]
            nodes = sorted(nodes, key=lambda node: _rank(node, key, self._nodes.hot_at(node.profile.name)))
        names = [node.profile.name for node in nodes]
        return names[::-1] if self._column >= 0 and self._order == Qt.SortOrder.DescendingOrder else names

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt's own hook: by a column as it is now; rows do not jump about with every reading."""
        before = list(self._names)
        self._column, self._order = column, order
        self.layoutAboutToBeChanged.emit()
        self._names = self._sorted()
        old = self.persistentIndexList()
        new = [self.index(self._names.index(before[at.row()]), at.column()) for at in old]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    @Slot(str)
    def _one_changed(self, name: str) -> None:
        if name in self._names:
            row = self._names.index(name)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self._names)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(COLUMNS[section][1])
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        node = self._nodes.find(self._names[index.row()]) if index.row() < len(self._names) else None
        if node is None:
            return None
        key = COLUMNS[index.column()][0]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return cell_text(node, key, self._nodes.hot_at(node.profile.name))
        return node if role == NodeRole else None


def _figures(node: NodeView, hot: float) -> Figures:
    return Figures() if condition(node, hot) in SILENT else figures_of(node.values)


def cell_text(node: NodeView, key: str, hot: float) -> str:
    """What a cell says."""
    found = _figures(node, hot)
    share = found.memory / found.memory_total if found.memory is not None and found.memory_total else None
    texts = {
        "name": lambda: title_of(node.profile.name),
        "state": lambda: chip_of(node, hot)[0],
        "kind": lambda: word("node_kind", node.profile.kind),
        "gpus": lambda: gpu_text(node) or "—",
        "busy": lambda: "—" if found.utilisation is None else percent(found.utilisation / 100),
        "memory": lambda: "—" if share is None else f"{percent(share)} / {size_of(found.memory_total)}",
        "temperature": lambda: "—" if found.temperature is None else f"{found.temperature:.0f} °C",
        "power": lambda: power_text(found.power, found.power_limit),
        "runs": lambda: runs_line(node),
        "price": lambda: price_text(node) or "—",
    }
    return texts[key]()


def _rank(node: NodeView, key: str, hot: float) -> float | str:
    found = _figures(node, hot)
    numbers = {
        "busy": found.utilisation,
        "memory": found.memory / found.memory_total if found.memory is not None and found.memory_total else None,
        "temperature": found.temperature,
        "power": found.power,
        "runs": float(len(node.runs)),
        "price": node.profile.price,
    }
    if key in numbers:
        number = numbers[key]
        return -1.0 if number is None else float(number)
    return cell_text(node, key, hot).lower()


class _Cells(QStyledItemDelegate):
    """Paints the state as a chip."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        super().paint(painter, option, index)
        node = index.data(NodeRole)
        rect: QRect = option.rect
        if isinstance(node, NodeView) and COLUMNS[index.column()][0] == "state":
            text, tone, icon = chip_of(node)
            painter.setFont(option.font)
            paint_chip(painter, rect.x() + 8, rect.y() + (rect.height() - 24) // 2, text, tone, icon, rect.width() - 12)

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook: the chip speaks for the text."""
        super().initStyleOption(option, index)
        if COLUMNS[index.column()][0] == "state":
            option.text = ""


class NodesTable(QTableView):
    """Sorted by any column."""

    wanted = Signal(str, str)

    def __init__(self, nodes: NodesModel) -> None:
        super().__init__()
        self.setObjectName("nodes.table")
        self.setAccessibleName(tr("Nodes"))
        self._rows = NodesTableModel(nodes, self)
        self.setModel(self._rows)
        self.setItemDelegate(_Cells(self))
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu_at)
        self.doubleClicked.connect(lambda index: self._want("doctor", index))
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self._rows.modelReset.connect(self._fit)
        self._fit()

    @Slot()
    def _fit(self) -> None:
        header = self.horizontalHeader()
        letters = header.fontMetrics()
        for place, (key, _title) in enumerate(COLUMNS):
            title = str(self._rows.headerData(place, Qt.Orientation.Horizontal))
            header.resizeSection(place, max(WIDTHS[key], letters.horizontalAdvance(title) + 34))
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(110)
        self.setMinimumHeight(44 + ROW * max(3, self._rows.rowCount()))

    def set_room(self, width: int) -> None:
        """Leave out what matters least where there is little room."""
        dropped = {key for least, key in DROPS if width < least}
        for place, (key, _title) in enumerate(COLUMNS):
            self.setColumnHidden(place, key in dropped)

    def select(self, name: str) -> bool:
        """Choose a node's row, and give the table the keyboard."""
        for place in range(self._rows.rowCount()):
            index = self._rows.index(place, 0)
            node = self._node_at(index)
            if node is not None and node.profile.name == name:
                self.setCurrentIndex(index)
                self.setFocus()
                return True
        return False

    def selected(self) -> str:
        """The node of the row that is chosen; empty where none is."""
        node = self._node_at(self.currentIndex())
        return node.profile.name if node is not None else ""

    def _node_at(self, index: Index) -> NodeView | None:
        node = index.data(NodeRole)
        return node if isinstance(node, NodeView) else None

    def _want(self, key: str, index: Index) -> None:
        node = self._node_at(index)
        if node is not None:
            self.wanted.emit(key, node.profile.name)

    @Slot(QPoint)
    def _menu_at(self, at: QPoint) -> None:
        node = self._node_at(self.indexAt(at))
        if node is not None:
            menu = menu_of(self, node, self.wanted.emit)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.viewport().mapToGlobal(at))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        index = self.currentIndex()
        menu_key = event.key() == Qt.Key.Key_Menu or (
            event.key() == Qt.Key.Key_F10 and bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        )
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid():
            self._want("doctor", index)
        elif menu_key and index.isValid():
            self._menu_at(self.visualRect(index).bottomLeft())
        else:
            super().keyPressEvent(event)
