"""The catalogue as a list of families with their sizes: arrows move, Enter picks."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPen, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTreeView, QWidget

from engine.contract.catalogue import Listed
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens

ENTRY = Qt.ItemDataRole.UserRole
SECOND = Qt.ItemDataRole.UserRole + 1
CHIP = Qt.ItemDataRole.UserRole + 2
FAMILY_HEIGHT, SIZE_HEIGHT = 40, 36
FIT_CHIPS = {"fits": ("ok", "check"), "tight": ("warn", "triangle-alert"), "too_large": ("bad", "x")}
Index = QModelIndex | QPersistentModelIndex


class CatalogueTree(QTreeView):
    """Emits what was picked."""

    picked = Signal(object)
    """A `Listed`."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("wizard.catalogue")
        self.setAccessibleName(tr("Model catalogue"))
        self.setProperty("role", "catalogue")
        self.setHeaderHidden(True)
        self.setRootIsDecorated(True)
        self.setIndentation(18)
        self.setUniformRowHeights(False)
        self.setExpandsOnDoubleClick(False)
        self.setEditTriggers(QTreeView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QTreeView.ScrollMode.ScrollPerPixel)
        self.setMinimumHeight(270)
        self.setItemDelegate(_Painter(self))
        self._items = QStandardItemModel(self)
        self.setModel(self._items)
        self.clicked.connect(self._clicked)

    def show_entries(
        self, found: Sequence[Listed], hub: str, memory: float | None, precision: str, open_all: bool
    ) -> None:
        """Show these, with how they would fit; the chosen line stays where it is, if it is still there."""
        current = self._title(self.currentIndex())
        self._items.clear()
        families: dict[str, QStandardItem] = {}
        for one in found:
            above = families.get(one.family.id)
            if above is None:
                above = families[one.family.id] = _family(one, [other for other in found if other.family is one.family])
                self._items.appendRow(above)
            above.appendRow(_size(one, hub, memory, precision))
        if open_all:
            self.expandAll()
        self._return_to(current)

    def stand_on(self, one: Listed) -> None:
        """Open its family and mark it, without picking it again."""
        for place in range(self._items.rowCount()):
            family = self._items.index(place, 0)
            for row in range(self._items.rowCount(family)):
                index = self._items.index(row, 0, family)
                if index.data(ENTRY) == one:
                    self.expand(family)
                    self.setCurrentIndex(index)
                    self.scrollTo(index)
                    return

    def pick_current(self) -> None:
        """Take the line the keyboard stands on; a family opens."""
        self._clicked(self.currentIndex())

    def titles(self) -> list[str]:
        """Every size shown, for whoever wants to know."""
        found = []
        for place in range(self._items.rowCount()):
            family = self._items.item(place)
            found += [family.child(row).text() for row in range(family.rowCount())] or [family.text()]
        return found

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: Enter picks; everything else moves."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.pick_current()
            return
        super().keyPressEvent(event)

    @Slot(QModelIndex)
    def _clicked(self, index: QModelIndex) -> None:
        entry = index.data(ENTRY)
        if isinstance(entry, Listed):
            self.picked.emit(entry)
        elif index.isValid():
            self.setExpanded(index, not self.isExpanded(index))

    def _title(self, index: QModelIndex) -> str:
        return str(index.data() or "") + str(index.parent().data() or "")

    def _return_to(self, title: str) -> None:
        first = self._items.index(0, 0)
        for place in range(self._items.rowCount()):
            family = self._items.index(place, 0)
            for row in range(-1, self._items.rowCount(family)):
                index = family if row < 0 else self._items.index(row, 0, family)
                if title and self._title(index) == title:
                    self.setCurrentIndex(index)
                    return
        self.setCurrentIndex(first)


def _family(one: Listed, members: Sequence[Listed]) -> QStandardItem:
    made = QStandardItem(one.family.name)
    sizes = [amount(member.size.parameters) for member in (members[0], members[-1])]
    spread = sizes[0] if sizes[0] == sizes[1] else f"{sizes[0]} – {sizes[1]}"
    made.setData(f"{one.family.maker} · {spread} · {one.family.licence}", SECOND)
    return made


def _size(one: Listed, hub: str, memory: float | None, precision: str) -> QStandardItem:
    made = QStandardItem(one.size.name)
    made.setData(one, ENTRY)
    made.setData(about(one), SECOND)
    fit = one.size.fit(memory, precision)
    if one.size.images:
        made.setData((tr("not yet: reads images"), "plain", ""), CHIP)
        made.setEnabled(False)
    elif not one.size.hub_id(hub):
        made.setData((tr("not on this hub"), "plain", ""), CHIP)
        made.setEnabled(False)
    elif fit in FIT_CHIPS:
        made.setData((word("fit", fit), *FIT_CHIPS[fit]), CHIP)
    made.setAccessibleDescription(about(one))
    return made


def amount(parameters: int) -> str:
    """A parameter count as makers write it: 0.49 B, 8.2 B, 70.6 B."""
    return f"{parameters / 1e9:.3g} B"


def about(one: Listed) -> str:
    """What is known of a model, in one line."""
    size = one.size
    parts = [amount(size.parameters)]
    if size.active:
        parts[0] += tr(" ({active} active)", active=amount(size.active))
    parts += [tr("{n} tokens", n=f"{size.context:,}"), one.licence]
    if size.kind == "base":
        parts.append(tr("base"))
    if size.gated:
        parts.append(tr("needs a token"))
    return " · ".join(parts)


class _Painter(QStyledItemDelegate):
    """Name, what is known, and whether it fits."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)

    def sizeHint(self, _option: QStyleOptionViewItem, index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(200, SIZE_HEIGHT if index.parent().isValid() else FAMILY_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        t, rect = tokens(), option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        enabled = bool(option.state & QStyle.StateFlag.State_Enabled)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen:
            painter.setBrush(QColor(t.accent_soft))
            focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
            painter.setPen(QPen(QColor(t.accent)) if focused else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(rect.adjusted(1, 1, -2, -2), 6, 6)
        self._texts(painter, rect, index, t.muted if not enabled else t.accent_text if chosen else t.text)
        painter.restore()

    def _texts(self, painter: QPainter, rect: QRect, index: Index, ink: str) -> None:
        t, font = tokens(), QFont(painter.font())
        family = not index.parent().isValid()
        font.setPixelSize(13)
        font.setWeight(QFont.Weight.DemiBold if family else QFont.Weight.Medium)
        painter.setFont(font)
        painter.setPen(QColor(ink))
        left, middle = rect.x() + 8, int(Qt.AlignmentFlag.AlignVCenter)
        if family:
            painter.drawPixmap(left, rect.y() + (rect.height() - 16) // 2, icons.pixmap("box", t.secondary, 16))
            left += 24
        name = str(index.data())
        width = painter.fontMetrics().horizontalAdvance(name) + 12
        painter.drawText(QRect(left, rect.y(), width, rect.height()), middle, name)
        right, chip = rect.right() - 8, index.data(CHIP)
        if chip:
            room = painter.fontMetrics().horizontalAdvance(chip[0]) + (36 if chip[2] else 18)
            right -= room
            paint_chip(painter, right, rect.y() + (rect.height() - 24) // 2, *chip)
        left = max(left + width, rect.x() + 190)
        font.setPixelSize(12)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(t.muted))
        more = painter.fontMetrics().elidedText(
            str(index.data(SECOND) or ""), Qt.TextElideMode.ElideRight, max(10, right - left - 8)
        )
        painter.drawText(QRect(left, rect.y(), max(10, right - left - 8), rect.height()), middle, more)
