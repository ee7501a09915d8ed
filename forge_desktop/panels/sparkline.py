"""A tiny curve with a soft area below and a dot at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

PICTURES = 512
"""Drawn curves that are kept: a screen of rows is painted often and changes little."""


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
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillPath(_under(path, area), _soft(area, colour))
    painter.setPen(QPen(QColor(colour), 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.drawPath(path)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(points[-1], 1.8, 1.8)
    painter.restore()


def _under(path: QPainterPath, area: QRectF) -> QPainterPath:
    under = QPainterPath(path)
    under.lineTo(path.currentPosition().x(), area.bottom())
    first = path.elementAt(0)
    under.lineTo(first.x, area.bottom())
    return under


def _soft(area: QRectF, colour: str) -> QLinearGradient:
    soft = QLinearGradient(0, area.top(), 0, area.bottom())
    for place, alpha in ((0, 60), (1, 0)):
        shade = QColor(colour)
        shade.setAlpha(alpha)
        soft.setColorAt(place, shade)
    return soft


@lru_cache(maxsize=PICTURES)
def sparkline_picture(values: tuple[float, ...], colour: str, width: int, height: int, ratio: float) -> QPixmap:
    """The curve as a pixmap, drawn once."""
    picture = QPixmap(QSize(round(width * ratio), round(height * ratio)))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    paint_sparkline(painter, QRectF(0, 0, width, height), values, colour)
    painter.end()
    return picture


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

    def set_colour(self, colour: str) -> None:
        """Draw it in another colour."""
        self._colour = colour
        self.update()

    def set_scale(self, low: float | None, high: float | None) -> None:
        """Fix the scale, or let the values decide."""
        self._low, self._high = low, high
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        paint_sparkline(painter, QRectF(self.rect()), self._values, self._colour, self._low, self._high)
        painter.end()
