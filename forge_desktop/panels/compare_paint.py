"""What the pictures of compared runs share: the look of each run, ticks, and an area with axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from forge_desktop.bridge.backend import Floats
from forge_desktop.panels.chart_series import DASHES
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import duration, figure

LEFT, BOTTOM, TOP, RIGHT = 56, 24, 10, 26


def colour_of(place: int) -> QColor:
    """The colour of the run at a place."""
    series = tokens().series
    return QColor(series[place % len(series)])


def pen_of(place: int, width: float = 2.0) -> QPen:
    """Its line: colour and dash together are each run's own."""
    return QPen(colour_of(place), width, DASHES[place % len(DASHES)])


def short(value: float, form: str) -> str:
    """A tick's text: a plain number, seconds, or a share."""
    if form == "seconds":
        whole = round(value)
        if whole >= 3600 and whole % 3600 == 0:
            return tr("{hours} h", hours=whole // 3600)
        if whole >= 60 and whole % 60 == 0 and whole < 3600:
            return tr("{minutes} min", minutes=whole // 60)
        return duration(value) if whole else "0"
    if form == "share":
        return f"{100 * value:g}%"
    for unit, factor in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor * (10 if unit == "k" else 1):
            return f"{value / factor:g} {unit}"
    return f"{value:g}" if abs(value) >= 0.001 or value == 0 else figure(value)


TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)
"""Seconds that are round for people."""


def ticks(low: float, high: float, number: int, form: str = "number") -> list[float]:
    """Round values between two others."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / max(1, number)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw), 10 * power)
    if form == "seconds" and raw > 1:
        step = float(next((time for time in TIMES if time >= raw), 86400 * math.ceil(raw / 86400)))
    first = math.ceil(low / step)
    return [round(step * n, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass
class Scale:
    """How values lie in a rectangle."""

    area: QRectF
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False

    def px(self, x: Floats) -> Floats:
        """Pixels of x."""
        return np.asarray(self.area.left() + (x - self.x[0]) / (self.x[1] - self.x[0]) * self.area.width())

    def py(self, y: Floats) -> Floats:
        """Pixels of y."""
        return np.asarray(self.area.bottom() - (y - self.y[0]) / (self.y[1] - self.y[0]) * self.area.height())

    def at(self, pixel: float) -> float:
        """x of a pixel."""
        return self.x[0] + (pixel - self.area.left()) / max(1.0, self.area.width()) * (self.x[1] - self.x[0])


def plot_area(size: QSize) -> QRectF:
    """Where curves are, inside of the axes."""
    return QRectF(LEFT, TOP, max(10, size.width() - LEFT - RIGHT), max(10, size.height() - TOP - BOTTOM))


def padded(values: Floats, share: float = 0.05) -> tuple[float, float]:
    """Least and greatest, with some air; something sensible for none or one."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        pad = abs(low) * 0.1 or 0.5
        return low - pad, high + pad
    return low - share * (high - low), high + share * (high - low)


def paint_axes(painter: QPainter, scale: Scale, x_form: str, y_form: str) -> None:
    """Grid lines and figures."""
    t = tokens()
    area = scale.area
    painter.setFont(ui_font(11))
    for value in ticks(*scale.y, max(2, int(area.height() / 46))):
        at = float(scale.py(np.array([value]))[0])
        painter.setPen(QPen(QColor(t.border), 1))
        painter.drawLine(QPointF(area.left(), at), QPointF(area.right(), at))
        painter.setPen(QColor(t.muted))
        text = short(10**value, y_form) if scale.log else short(value, y_form)
        flags = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRectF(0, at - 8, LEFT - 8, 16), flags, text)
    for value in ticks(*scale.x, max(2, int(area.width() / (75 if x_form == "seconds" else 95))), x_form):
        at = float(scale.px(np.array([value]))[0])
        painter.setPen(QColor(t.muted))
        painter.drawText(QRectF(at - 60, area.bottom() + 6, 120, 16), int(Qt.AlignmentFlag.AlignCenter),
                         short(value, x_form))  # fmt: skip


class Swatch(QWidget):
    """A piece of a run's line with its letter."""

    def __init__(self, place: int, letter: str) -> None:
        super().__init__()
        self._place, self._letter = place, letter
        self.setFixedSize(46, 18)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_letter(painter, QPointF(9, 9), self._place, self._letter)
        painter.setPen(pen_of(self._place))
        painter.drawLine(22, 9, 44, 9)
        painter.end()


def paint_letter(painter: QPainter, at: QPointF, place: int, letter: str) -> None:
    """A run's letter on a disc of its colour."""
    painter.save()
    painter.setPen(QPen(QColor(tokens().surface), 1.5))
    painter.setBrush(colour_of(place))
    painter.drawEllipse(at, 8.5, 8.5)
    painter.setPen(QColor("#FFFFFF") if not tokens().dark else QColor(tokens().bg))
    painter.setFont(ui_font(10, 700))
    painter.drawText(QRectF(at.x() - 9, at.y() - 9, 18, 18), int(Qt.AlignmentFlag.AlignCenter), letter)
    painter.restore()
