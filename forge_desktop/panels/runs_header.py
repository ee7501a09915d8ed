"""The head of the list of runs: which columns are seen, in which order, how wide; kept in the preferences."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QRect, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QHeaderView, QMenu, QTableView

from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.run_columns import COLUMNS, FIXED, PLACE, Column
from forge_desktop.panels.run_cells import EDGE, LEFT, RIGHT, font_of, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

PREFERENCE = "runs.columns"
HEIGHT = 40
LEAST_NAME = 220
LEAST_WIDTH, MOST_WIDTH = 60, 600
EXTRA_RANK = 2.5
AROUND_TITLE = 40


def _importance(column: Column) -> float:
    """What a person asked for stays longer than what is there by itself, besides name, status and progress."""
    return column.rank if column.shown else EXTRA_RANK + column.rank / 100


def _first_width(column: Column) -> int:
    """As designed; more where its title is longer in the language in force."""
    title = tr(column.title)
    return max(column.width, font_of(12, 600)[1].horizontalAdvance(title) + AROUND_TITLE)


class RunsHeader(QHeaderView):
    """Click sorts, drag reorders, the menu chooses. Where room is short the least important columns step aside."""

    sort_wanted = Signal(str, bool)
    """Order and whether the largest comes first."""

    def __init__(self, preferences: Preferences, table: QTableView) -> None:
        super().__init__(Qt.Orientation.Horizontal, table)
        self._table = table
        self.setObjectName("runs.header")
        self.setAccessibleName(tr("Columns"))
        self._preferences = preferences
        self._sort, self._descending = "created", True
        self._costs = False
        self._placing = False
        kept = preferences.get(PREFERENCE)
        self._kept: dict[str, Any] = kept if isinstance(kept, dict) else {}
        self.chosen = {column.key for column in COLUMNS if self._is_chosen(column)}
        self.setHighlightSections(False)
        self.setSectionsClickable(True)
        self.setSectionsMovable(True)
        self.setFirstSectionMovable(False)
        self.setMinimumSectionSize(44)
        self.setFixedHeight(HEIGHT)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu_at)
        self.sectionClicked.connect(self._clicked)

    def _is_chosen(self, column: Column) -> bool:
        if column.key in FIXED:
            return True
        shown = self._kept.get("shown")
        return column.key in shown if isinstance(shown, list) else column.shown

    def restore(self) -> None:
        """Put order and widths as they were; once the table has its model."""
        self._placing = True
        widths = self._kept.get("widths")
        for place, column in enumerate(COLUMNS):
            fixed = column.key == "more"
            mode = QHeaderView.ResizeMode.Fixed if fixed else QHeaderView.ResizeMode.Interactive
            self.setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch if column.key == "run" else mode)
            width = widths.get(column.key) if isinstance(widths, dict) else None
            wide = width if isinstance(width, int) and LEAST_WIDTH <= width <= MOST_WIDTH else _first_width(column)
            self.resizeSection(place, column.width if fixed else wide)
        order = self._kept.get("order")
        known = [key for key in order if key in PLACE and key not in FIXED] if isinstance(order, list) else []
        for visual, key in enumerate(known, start=1):
            self.moveSection(self.visualIndex(PLACE[key]), visual)
        self._placing = False
        self.sectionMoved.connect(self._moved)
        self.sectionResized.connect(self._resized)

    def order(self) -> list[str]:
        """The columns from left to right, hidden ones too."""
        return [COLUMNS[self.logicalIndex(visual)].key for visual in range(self.count())]

    def show_sort(self, sort: str, descending: bool) -> None:
        """Point the arrow."""
        self._sort, self._descending = sort, descending
        self.viewport().update()

    def set_costs(self, known: bool) -> None:
        """Whether any run has a cost: without one the column says nothing."""
        if known != self._costs:
            self._costs = known
            self.fit()

    def fit(self) -> None:
        """Hide what was not chosen and, by importance, what finds no room."""
        wanted = [column for column in COLUMNS if column.key in self.chosen and (column.key != "cost" or self._costs)]
        room, shown = self._table.viewport().width() - LEAST_NAME, set[str]()
        for column in sorted(wanted, key=_importance):
            width = 0 if column.key == "run" else self._width(column)
            if column.rank and width > room:
                break
            room -= width
            shown.add(column.key)
        for place, column in enumerate(COLUMNS):
            self.setSectionHidden(place, column.key not in shown)

    def _width(self, column: Column) -> int:
        widths = self._kept.get("widths")
        width = widths.get(column.key) if isinstance(widths, dict) else None
        return width if isinstance(width, int) else _first_width(column)

    @Slot(int, int, int)
    def _moved(self, _logical: int, _old: int, _new: int) -> None:
        if self._placing:
            return
        self._placing = True
        last = self.visualIndex(PLACE["more"])
        if last != self.count() - 1:
            self.moveSection(last, self.count() - 1)
        self._placing = False
        self._keep(order=self.order())

    @Slot(int, int, int)
    def _resized(self, logical: int, _old: int, new: int) -> None:
        key = COLUMNS[logical].key
        if not self._placing and key not in FIXED and new >= LEAST_WIDTH:
            widths = self._kept.get("widths")
            self._keep(widths={**(widths if isinstance(widths, dict) else {}), key: new})
            self.fit()

    def _keep(self, **values: Any) -> None:
        self._kept = {**self._kept, **values}
        self._preferences.set(PREFERENCE, self._kept)

    @Slot(int)
    def _clicked(self, logical: int) -> None:
        sort = COLUMNS[logical].sort
        if sort:
            self.sort_wanted.emit(sort, not self._descending if sort == self._sort else sort not in ("name", "state"))

    def choose(self, key: str, shown: bool) -> None:
        """Show or hide a column."""
        self.chosen = self.chosen | {key} if shown else self.chosen - {key}
        self._keep(shown=[column.key for column in COLUMNS if column.key in self.chosen])
        self.fit()

    def move_column(self, key: str, by: int) -> None:
        """Move a column past the next one that is seen."""
        if key in FIXED:
            return
        here = self.visualIndex(PLACE[key])
        there = here + by
        while 1 <= there < self.count() - 1 and self.isSectionHidden(self.logicalIndex(there)):
            there += by
        if 1 <= there < self.count() - 1:
            self.moveSection(here, there)

    def forget_choices(self) -> None:
        """As they were at first."""
        self.chosen = {column.key for column in COLUMNS if column.shown}
        self._kept = {}
        self._placing = True
        for place, column in enumerate(COLUMNS):
            self.moveSection(self.visualIndex(place), place)
            if column.key not in FIXED:
                self.resizeSection(place, _first_width(column))
        self._placing = False
        self._preferences.set(PREFERENCE, {})
        self.fit()

    @Slot(QPoint)
    def _menu_at(self, place: QPoint) -> None:
        logical = self.logicalIndexAt(place)
        menu = self.menu(COLUMNS[logical].key if logical >= 0 else "")
        menu.popup(self.viewport().mapToGlobal(place))

    def menu(self, key: str = "") -> QMenu:
        """Which columns, the order of rows, and the place of the column `key`."""
        menu = QMenu(self)
        menu.setObjectName("runs.columns.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for column in (column for column in COLUMNS if column.key not in FIXED):
            chosen = column.key in self.chosen
            lacks_room = chosen and self.isSectionHidden(PLACE[column.key]) and (column.key != "cost" or self._costs)
            title = tr(column.title)
            action = menu.addAction(tr("{column} (no room)", column=title) if lacks_room else title)
            action.setCheckable(True)
            action.setChecked(chosen)
            action.toggled.connect(partial(self.choose, column.key))
        menu.addSeparator()
        sorts = menu.addMenu(tr("Sort by"))
        for column in (column for column in COLUMNS if column.sort):
            action = sorts.addAction(tr(column.title), partial(self._clicked, PLACE[column.key]))
            action.setCheckable(True)
            action.setChecked(column.sort == self._sort)
        if key and key not in FIXED:
            menu.addAction(tr("Move left"), partial(self.move_column, key, -1))
            menu.addAction(tr("Move right"), partial(self.move_column, key, 1))
        menu.addAction(tr("As at first"), self.forget_choices)
        return menu

    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:
        """Qt's own hook: text where the cells have theirs, and an arrow at the one that is sorted by."""
        t, column = tokens(), COLUMNS[logical]
        painter.save()
        painter.setPen(QColor(t.border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        box = rect.adjusted(EDGE if column.key == "run" else 12, 0, -12 if column.right else -8, 0)
        text = "" if column.key == "more" else tr(COLUMNS[logical].title)
        sorted_by = bool(column.sort) and column.sort == self._sort
        ink = t.text if sorted_by else t.secondary
        width = min(font_of(12, 600)[1].horizontalAdvance(text), box.width())
        if sorted_by:
            arrow = icons.pixmap("arrow-down" if self._descending else "arrow-up", t.accent_text, 13)
            left = box.right() - width - 16 if column.right else min(box.left() + width + 4, box.right() - 12)
            painter.drawPixmap(left, box.center().y() - 6, arrow)
            box = box if column.right else box.adjusted(0, 0, -16, 0)
        paint_text(painter, box, text, ink, 600, 12, RIGHT if column.right else LEFT)
        painter.restore()
