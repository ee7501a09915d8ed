"""A tiny curve with a soft area below and a dot at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget


def paint_sparkline(
    painter: QPainter,
    area: QRectF,
    values: Sequence[float],
    colour: str,
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Draw values over the whole width of an area; `low` and `high` fix the scale. Also used by item delegates."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return
    bottom = min(finite) if low is None else low
    top = max(finite) if high is None else high
    span = (top - bottom) or 1.0
    box = area.adjusted(2, 3, -4, -3)
    points = [
        QPointF(
            box.left() + box.width() * place / (len(finite) - 1),
            box.bottom() - box.height() * (min(max(value, bottom), top) - bottom) / span,
        )
        for place, value in enumerate(finite)
    ]
    path = QPainterPath(points[0])
    for point in points[1:]:
        path.lineTo(point)
    under = QPainterPath(path)
    under.lineTo(points[-1].x(), area.bottom())
    under.lineTo(points[0].x(), area.bottom())
    soft = QLinearGradient(0, area.top(), 0, area.bottom())
    shade = QColor(colour)
    shade.setAlpha(60)
    clear = QColor(colour)
    clear.setAlpha(0)
    soft.setColorAt(0, shade)
    soft.setColorAt(1, clear)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillPath(under, soft)
    painter.setPen(QPen(QColor(colour), 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.drawPath(path)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(points[-1], 1.8, 1.8)
    painter.restore()


class Sparkline(QWidget):
    """The curve as a widget."""

    def __init__(self, colour: str, low: float | None = None, high: float | None = None) -> None:
        super().__init__()
        self._colour, self._low, self._high = colour, low, high
        self._values: list[float] = []
        self.setMinimumSize(40, 32)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_values(self, values: Sequence[float]) -> None:
        """Show other values."""
        self._values = list(values)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        paint_sparkline(painter, QRectF(self.rect()), self._values, self._colour, self._low, self._high)
        painter.end()
