"""The head of the table of instances: a click, or the keyboard within it, sorts by a column."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, QRect, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter
from PySide6.QtWidgets import QHeaderView, QMenu, QTableView

from forge_desktop.models.instances_model import COLUMNS, SORTED, InstancesModel
from forge_desktop.panels.run_cells import LEFT, RIGHT, font_of, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.spoken import speak_as

HEIGHT, EDGE, ARROW = 38, 16, 13


class InstancesHeader(QHeaderView):
    """Left and right choose a column, Enter or Space sorts by it: rising, falling, then the usual order again."""

    sort_wanted = Signal(str)
    """The key of a column."""

    def __init__(self, model: InstancesModel, table: QTableView) -> None:
        super().__init__(Qt.Orientation.Horizontal, table)
        self._model, self._at = model, 0
        self.setObjectName("instances.header")
        self.setAccessibleName(tr("Columns"))
        speak_as(self, "headings")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setHighlightSections(False)
        self.setSectionsClickable(True)
        self.setMinimumSectionSize(40)
        self.setFixedHeight(HEIGHT)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu_at)
        self.sectionClicked.connect(self._clicked)
        model.sorted.connect(self._say)
        self._say()

    @Slot(int)
    def _clicked(self, place: int) -> None:
        if COLUMNS[place].key in SORTED:
            self.sort_wanted.emit(COLUMNS[place].key)

    @Slot(QPoint)
    def _menu_at(self, at: QPoint) -> None:
        menu = QMenu(self)
        menu.setObjectName("instances.sort.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu)
        menu.popup(self.viewport().mapToGlobal(at))

    def fill_menu(self, menu: QMenu) -> None:
        """Every column, also those there is no room for, and the usual order."""
        entries = [("", tr("Usual order")), *((one.key, tr(one.title)) for one in COLUMNS if one.key in SORTED)]
        for key, text in entries:
            action = menu.addAction(text, partial(self.sort_wanted.emit, key))
            action.setObjectName(f"instances.sort.{key or 'usual'}")
            action.setCheckable(True)
            action.setChecked(key == self._model.sort_key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        shown = [place for place, one in enumerate(COLUMNS) if one.key in SORTED and not self.isSectionHidden(place)]
        here = shown.index(self._at) if self._at in shown else 0
        match event.key():
            case Qt.Key.Key_Left:
                self._at = shown[max(0, here - 1)]
            case Qt.Key.Key_Right:
                self._at = shown[min(len(shown) - 1, here + 1)]
            case Qt.Key.Key_Home:
                self._at = shown[0]
            case Qt.Key.Key_End:
                self._at = shown[-1]
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space:
                self._clicked(shown[here])
            case Qt.Key.Key_Menu:
                self._menu_at(QPoint(self.sectionViewportPosition(shown[here]), self.height()))
            case _:
                super().keyPressEvent(event)
                return
        self._say()

    @Slot()
    def _say(self) -> None:
        """Whoever listens hears the column the keyboard stands on, and how the rows are sorted."""
        by = next((tr(one.title) for one in COLUMNS if one.key == self._model.sort_key), tr("Usual order"))
        way = (tr("falling") if self._model.falling else tr("rising")) if self._model.sort_key else ""
        sort = " ".join(part for part in (by, way) if part)
        said = labelled(tr("Sorted by"), sort)
        self.setAccessibleDescription(f"{tr(COLUMNS[self._at].title)} · {said}" if self.hasFocus() else said)
        self.viewport().update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook."""
        super().focusInEvent(event)
        self._say()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook."""
        super().focusOutEvent(event)
        self._say()

    def paintSection(self, painter: QPainter, rect: QRect, logical: int) -> None:
        """Qt's own hook: text where the cells have theirs, an arrow at the one that is sorted by."""
        t, column = tokens(), COLUMNS[logical]
        painter.save()
        painter.setPen(QColor(t.border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        box = rect.adjusted(EDGE if column.key == "kind" else 12, 0, -12 if column.right else -8, 0)
        text = "" if column.key == "more" else tr(column.title)
        sorted_by = column.key == self._model.sort_key
        if sorted_by:
            wide = min(font_of(12, 600)[1].horizontalAdvance(text), box.width())
            arrow = icons.pixmap("arrow-down" if self._model.falling else "arrow-up", t.accent_text, ARROW)
            left = box.right() - wide - 16 if column.right else min(box.left() + wide + 4, box.right() - 12)
            painter.drawPixmap(left, box.center().y() - 6, arrow)
            box = box if column.right else box.adjusted(0, 0, -16, 0)
        paint_text(painter, box, text, t.text if sorted_by else t.secondary, 600, 12, RIGHT if column.right else LEFT)
        if self.hasFocus() and logical == self._at:
            painter.setPen(QColor(t.accent))
            painter.drawRoundedRect(rect.adjusted(2, 3, -3, -4), 6, 6)
        painter.restore()
