"""How the cells of the list of runs are painted: name, status, loss, progress, node, figures, and the row's button."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from engine.contract.api import RunSummary
from engine.contract.states import RunState
from forge_desktop.models.run_columns import COLUMNS, below_name, priority_word, progress
from forge_desktop.models.runs_model import RunRole
from forge_desktop.panels.sparkline import sparkline_picture
from forge_desktop.panels.status import chip_of, fill
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_bar, paint_chip
from forge_desktop.theme.language import word
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import figure
from forge_desktop.theme.tokens import ROW_HEIGHT

Index = QModelIndex | QPersistentModelIndex
MIDDLE = int(Qt.AlignmentFlag.AlignVCenter)
LEFT, RIGHT = MIDDLE | int(Qt.AlignmentFlag.AlignLeft), MIDDLE | int(Qt.AlignmentFlag.AlignRight)
SPARK, EDGE = 72, 16
PRIORITY_TONES = {"urgent": "bad", "high": "warn", "normal": "plain", "low": "info"}


@lru_cache(maxsize=32)
def font_of(pixels: int, weight: int) -> tuple[QFont, QFontMetrics]:
    """A font and its measures: making them anew for every cell costs more than painting it."""
    font = ui_font(pixels, weight)
    return font, QFontMetrics(font)


def paint_text(
    painter: QPainter, box: QRect, text: str, colour: str, weight: int = 400, pixels: int = 13, align: int = LEFT
) -> None:
    """One line that ends in … where room is short."""
    font, measure = font_of(pixels, weight)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    if measure.horizontalAdvance(text) > box.width():
        text = measure.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
    painter.drawText(box, align, text)


class RunDelegate(QStyledItemDelegate):
    """Paints the cells; a row that is still to come is a row of soft bars."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(80, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        column = COLUMNS[index.column()]
        run = index.data(RunRole)
        painter.save()
        _paint_ground(painter, option, index, column.key)
        box = option.rect.adjusted(EDGE if column.key == "run" else 12, 0, -12 if column.right else -8, 0)
        if isinstance(run, RunSummary):
            painter_of = _PAINTERS.get(column.key)
            if painter_of is not None:
                painter_of(painter, box, run)
            else:
                text = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
                _paint_plain(painter, box, text, column.right)
        else:
            _paint_skeleton(painter, box, column.key)
        painter.restore()


def _paint_ground(painter: QPainter, option: QStyleOptionViewItem, index: Index, key: str) -> None:
    t, box = tokens(), option.rect
    if option.state & QStyle.StateFlag.State_Selected:
        painter.fillRect(box, QColor(t.accent_soft if option.state & QStyle.StateFlag.State_Active else t.surface2))
    elif option.state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(box, QColor(t.surface2))
    left = box.left() + (EDGE if key == "run" else 0)
    painter.setPen(QColor(t.border))
    painter.drawLine(left, box.bottom(), box.right() - (EDGE if key == "more" else 0), box.bottom())
    view = option.widget
    focused = isinstance(view, QAbstractItemView) and view.hasFocus() and view.currentIndex().row() == index.row()
    if key == "run" and focused:
        painter.fillRect(QRect(box.left(), box.top(), 3, box.height() - 1), QColor(t.accent))


def _paint_skeleton(painter: QPainter, box: QRect, key: str) -> None:
    if key == "more":
        return
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tokens().hover))
    width = min(box.width() - 8, 180 if key == "run" else 72)
    if key == "run":
        painter.drawRoundedRect(box.left(), box.top() + 13, width, 9, 4, 4)
        painter.drawRoundedRect(box.left(), box.top() + 30, round(0.7 * width), 8, 4, 4)
    else:
        painter.drawRoundedRect(box.left(), box.center().y() - 4, max(width, 8), 9, 4, 4)


def _paint_name(painter: QPainter, box: QRect, run: RunSummary) -> None:
    t, half = tokens(), box.height() // 2
    name = QRect(box.left(), box.top() + 6, box.width() - (20 if run.pinned else 0), half - 6)
    paint_text(painter, name, run.name, t.text, 600)
    if run.pinned:
        _font, measure = font_of(13, 600)
        left = name.left() + min(measure.horizontalAdvance(run.name), name.width()) + 6
        painter.drawPixmap(left, name.center().y() - 5, icons.pixmap("pin", t.accent_text, 13))
    below = QRect(box.left(), box.top() + half, box.width(), half - 7)
    paint_text(painter, below, below_name(run), t.muted, pixels=12)


def _paint_status(painter: QPainter, box: QRect, run: RunSummary) -> None:
    paint_chip(painter, box.left(), box.center().y() - 11, *chip_of(run), most=box.width())


def _paint_loss(painter: QPainter, box: QRect, run: RunSummary) -> None:
    t = tokens()
    active = run.state in (RunState.RUNNING, RunState.FINISHING)
    colour = t.series[0] if active else fill(run.state)
    share = progress(run)
    width = round(SPARK * max(0.35, share if share is not None else 1.0))
    if len(run.sparkline) > 1:
        ratio = painter.device().devicePixelRatio()
        picture = sparkline_picture(tuple(run.sparkline), colour, width, box.height() - 24, ratio)
        painter.drawPixmap(box.left() - 4, box.top() + 12, picture)
    ink = t.bad_text if run.state is RunState.FAILED else t.text if run.loss is not None else t.muted
    paint_text(painter, box.adjusted(SPARK + 4, 0, 0, 0), figure(run.loss), ink, 500)


def _paint_progress(painter: QPainter, box: QRect, run: RunSummary) -> None:
    share, t = progress(run), tokens()
    if share is None:
        preparing = run.state is RunState.PREPARING and run.phase is not None
        paint_text(painter, box, word("phase", str(run.phase)) if preparing else "—", t.muted, pixels=12)
        return
    width = max(24, box.width() - 50)
    paint_bar(painter, box.left(), box.center().y() - 2, width, 6, share, fill(run.state))
    paint_text(painter, box, f"{100 * share:.0f}%", t.secondary, align=RIGHT)


def _paint_node(painter: QPainter, box: QRect, run: RunSummary) -> None:
    t = tokens()
    if not run.node:
        paint_text(painter, box, "—", t.muted)
        return
    painter.drawPixmap(box.left(), box.center().y() - 6, icons.pixmap("server", t.muted, 14))
    name = word("choice", "local") if run.node == "local" else run.node
    paint_text(painter, box.adjusted(21, 0, 0, 0), name, t.secondary)


def _paint_priority(painter: QPainter, box: QRect, run: RunSummary) -> None:
    name = priority_word(run.priority)
    paint_chip(painter, box.left(), box.center().y() - 11, word("priority", name), PRIORITY_TONES[name], "",
               box.width())  # fmt: skip


def _paint_tags(painter: QPainter, box: QRect, run: RunSummary) -> None:
    left, _font = box.left(), font_of(12, 600)
    for place, tag in enumerate(run.tags):
        width = _font[1].horizontalAdvance(tag) + 16
        rest = len(run.tags) - place
        if left + width > box.right() - (30 if rest > 1 else 0):
            paint_text(painter, box.adjusted(left - box.left(), 0, 0, 0), f"+{rest}", tokens().muted, pixels=12)
            return
        left += paint_chip(painter, left, box.center().y() - 11, tag, "plain", "") + 4
    if not run.tags:
        paint_text(painter, box, "—", tokens().muted)


def _paint_more(painter: QPainter, box: QRect, _run: RunSummary) -> None:
    place = box.center()
    painter.drawPixmap(place.x() - 8, place.y() - 7, icons.pixmap("ellipsis", tokens().secondary, 16))


def _paint_plain(painter: QPainter, box: QRect, text: str, right: bool) -> None:
    t = tokens()
    ink = t.muted if text == "—" else t.text if right else t.secondary
    paint_text(painter, box, text, ink, 500 if right else 400, align=RIGHT if right else LEFT)


_PAINTERS: dict[str, Callable[[QPainter, QRect, RunSummary], None]] = {
    "run": _paint_name,
    "status": _paint_status,
    "loss": _paint_loss,
    "progress": _paint_progress,
    "node": _paint_node,
    "priority": _paint_priority,
    "tags": _paint_tags,
    "more": _paint_more,
}
