"""A cell of a comparison: its text, and a soft ground under a value unlike the first run's."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QPainter, QPalette, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from forge_desktop.theme.look import tokens
from forge_desktop.theme.tokens import RADIUS_CHIP

PADDING = 10
"""The same as a heading's, so that a column has one edge."""


class CompareCell(QStyledItemDelegate):
    """Paints a cell itself: under the style sheet Qt leaves out the ground that a model asks for."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Qt's own hook."""
        self.initStyleOption(option, index)
        t, box = tokens(), QRect(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, QColor(t.surface2))
        ground = index.data(Qt.ItemDataRole.BackgroundRole)
        wide = option.fontMetrics.horizontalAdvance(option.text) + 2 * PADDING
        text = box.adjusted(PADDING, 0, -PADDING, -1)
        if isinstance(ground, QColor):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QBrush(ground))
            chip = QRect(box.left() + 2, box.top() + 5, min(wide, box.width()) - 4, box.height() - 11)
            painter.drawRoundedRect(chip, RADIUS_CHIP, RADIUS_CHIP)
        painter.setFont(QFont(option.font))
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        shown = option.fontMetrics.elidedText(option.text, option.textElideMode, text.width())
        painter.drawText(text, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), shown)
        painter.setPen(QPen(QColor(t.border), 1))
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(QColor(t.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(0, 0, -1, -2))
        painter.restore()
