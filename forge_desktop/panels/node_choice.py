"""A list of nodes to choose one from: what the scheduler would take first, the others with why or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from engine.contract.nodes import PlacementAnswer
from forge_desktop.models.move_words import facts_of, why_of
from forge_desktop.models.node_words import title_of
from forge_desktop.panels.run_cells import RIGHT, font_of, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import sentences, tr
from forge_desktop.theme.look import tokens

LINE = 54
MOST_SEEN = 5
OptionRole = int(Qt.ItemDataRole.UserRole) + 1
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Option:
    """A node as the list shows it; an empty name is the scheduler's choice for each run."""

    node: str
    title: str
    why: str
    facts: str = ""
    fits: bool = True
    preferred: bool = False

    @property
    def spoken(self) -> str:
        """All of it, for those who listen."""
        mark = tr("Scheduler's choice") if self.preferred else "" if self.fits else tr("Not now")
        return sentences(*(f"{part}." for part in (self.title, mark) if part), self.why, self.facts)


def options_of(answer: PlacementAnswer, source: str, several: bool) -> list[Option]:
    """What there is to choose from: never where it is already; what fits comes first, the best before all."""
    others = [one for one in answer.candidates if one.node != source]
    others.sort(key=lambda one: (not one.fits, one.node != answer.node, -one.score))
    found = [
        Option(one.node, title_of(one.node), why_of(one, answer), facts_of(one), one.fits, one.fits and not place)
        for place, one in enumerate(others)
    ]
    if not several:
        return found
    auto = Option("", tr("Wherever there is room"), tr("The scheduler chooses for each run."), preferred=True)
    plain = [Option(one.node, one.title, one.why, one.facts, one.fits) for one in found]
    return [auto, *plain] if any(one.fits for one in found) else plain


class _Lines(QStyledItemDelegate):
    """Two lines: the node and what is known of it, and why."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(200, LINE)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        one = index.data(OptionRole)
        if isinstance(one, Option):
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            _paint_ground(painter, option)
            _paint_option(painter, option.rect.adjusted(10, 0, -12, 0), one, option)
            painter.restore()


def _paint_ground(painter: QPainter, option: QStyleOptionViewItem) -> None:
    t, box = tokens(), option.rect.adjusted(1, 2, -1, -2)
    chosen = bool(option.state & QStyle.StateFlag.State_Selected)
    over = bool(option.state & QStyle.StateFlag.State_MouseOver)
    painter.setPen(QColor(t.accent) if chosen else Qt.PenStyle.NoPen)
    painter.setBrush(QColor(t.accent_soft if chosen else t.surface2 if over else t.surface))
    painter.drawRoundedRect(box, 6, 6)


def _paint_option(painter: QPainter, box: QRect, one: Option, option: QStyleOptionViewItem) -> None:
    t, half = tokens(), box.height() // 2
    chosen = bool(option.state & QStyle.StateFlag.State_Selected)
    icon, ink = ("circle-dot", t.accent_text) if chosen else ("circle", t.muted)
    painter.drawPixmap(box.left(), box.center().y() - 8, icons.pixmap(icon, ink, 16))
    first = QRect(box.left() + 28, box.top() + 6, box.width() - 28, half - 6)
    paint_text(painter, first, one.title, t.text if one.fits else t.muted, 600)
    left = first.left() + font_of(13, 600)[1].horizontalAdvance(one.title) + 10
    if one.preferred:
        left += paint_chip(painter, left, first.top() - 2, tr("Scheduler's choice"), "ok", "check") + 10
    elif not one.fits:
        left += paint_chip(painter, left, first.top() - 2, tr("Not now"), "warn", "triangle-alert") + 10
    paint_text(painter, QRect(left, first.top(), max(0, first.right() - left), first.height()), one.facts, t.secondary,
               pixels=12, align=RIGHT)  # fmt: skip
    below = QRect(first.left(), box.top() + half + 2, first.width(), half - 8)
    paint_text(painter, below, one.why, t.muted, pixels=12)


class NodeChoice(QListWidget):
    """One node of several. Those that do not fit can be looked at, not taken: the dialog says why."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("move.nodes")
        self.setProperty("role", "boxed")
        self.setAccessibleName(tr("To which node"))
        self.setItemDelegate(_Lines(self))
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_options(self, options: Sequence[Option]) -> None:
        """Show them, and choose what the scheduler would."""
        self.clear()
        for one in options:
            item = QListWidgetItem(one.title)
            item.setData(OptionRole, one)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, one.spoken)
            item.setToolTip("\n".join(filter(None, (one.title, one.why, one.facts))))
            self.addItem(item)
        best = next((place for place, one in enumerate(options) if one.preferred), -1)
        self.setCurrentRow(best)
        self.setFixedHeight(LINE * min(MOST_SEEN, max(1, len(options))) + 12)

    def chosen(self) -> Option | None:
        """Where the choice stands."""
        item = self.currentItem()
        found = item.data(OptionRole) if item is not None and item.isSelected() else None
        return found if isinstance(found, Option) else None

    def choose(self, node: str) -> None:
        """Choose by name."""
        for place in range(self.count()):
            if self.item(place).data(OptionRole).node == node:
                self.setCurrentRow(place)
