"""Painting a chart: lines fast enough for a million points a second time, axes, marks, labels.

What costs is known from measuring: half transparent lines and antialiased wide ones. So raw lines are one pixel wide
and of a colour mixed beforehand, and a strong line of many points is four fine ones beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import shiboken6
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from forge_desktop.bridge.points import Floats
from forge_desktop.panels.chart_frame import Drawn, Frame
from forge_desktop.panels.chart_series import FAINT, GHOST, ChartMark
from forge_desktop.theme.look import tokens, ui_font

WIDE_POINTS = 200
"""A line of more points is drawn as several fine ones."""
OFFSETS = ((-0.45, 0.0), (0.45, 0.0), (0.0, -0.45), (0.0, 0.45))
DOT, RING = 4.5, 1.5
MANY_DOTS = 150
ROUGH = 3.0
"""A line that goes up and down more than this is drawn fine, or it were a band."""
MARK_GAP = 8.0
TIP_HEIGHT = 18.0


def paint_frame(painter: QPainter, frame: Frame, marks: Sequence[tuple[float, ChartMark]], exact: bool = False) -> None:
    """Everything of a chart but its labels of last values; `exact`: true lines, for files."""
    paint_axes(painter, frame)
    painter.save()
    painter.setClipRect(frame.plot.adjusted(-1, -1, 1, 1))
    _paint_begins(painter, frame, marks)
    for one in frame.drawn:
        for line in one.lost:
            _raw(painter, frame, line, one, GHOST)
    for one in frame.drawn:
        if one.strong is not one.raw:
            _raw(painter, frame, one.raw, one, FAINT)
    for one in frame.drawn:
        _strong(painter, frame, one, exact)
    for one in frame.drawn:
        _odd_values(painter, frame, one)
    painter.restore()
    _paint_saved(painter, frame, marks)


def paint_axes(painter: QPainter, frame: Frame) -> None:
    """Lines of the grid and what they stand for."""
    t, plot = tokens(), frame.plot
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    font = ui_font(11)
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    ys = frame.py(np.array([place for place, _ in frame.y_ticks]))
    xs = frame.px(np.array([place for place, _ in frame.x_ticks]))
    painter.setPen(_pen(QColor(t.border), 1))
    for y in ys:
        painter.drawLine(QPointF(plot.left(), round(y)), QPointF(plot.right(), round(y)))
    painter.setPen(_pen(QColor(t.border_strong), 1))
    painter.drawLine(QPointF(plot.left(), round(plot.bottom())), QPointF(plot.right(), round(plot.bottom())))
    painter.setPen(QColor(t.muted))
    for y, (_, text) in zip(ys, frame.y_ticks, strict=True):
        box = QRectF(0, y - 9, plot.left() - 8, 18)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)
    end = -1e9
    for x, (_, text) in zip(xs, frame.x_ticks, strict=True):
        wide = metrics.horizontalAdvance(text) + 2
        left = min(max(x - wide / 2, 0.0), plot.right() + 12 - wide)
        if left > end + 8:
            painter.drawText(QRectF(left, plot.bottom() + 7, wide, 16), int(Qt.AlignmentFlag.AlignCenter), text)
            end = left + wide


def axis_width(frame: Frame) -> float:
    """How much room the values' texts need."""
    metrics = QFontMetricsF(ui_font(11))
    return max((metrics.horizontalAdvance(text) for _, text in frame.y_ticks), default=20.0) + 14


def paint_tips(painter: QPainter, frame: Frame, texts: Sequence[str]) -> None:
    """A dot at the end of each line, and what it stands at; labels make room for each other."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    t = tokens()
    spots = []
    for one, text in zip(frame.drawn, texts, strict=True):
        if one.tip is None or not text or not frame.x[0] <= one.tip[0] <= frame.x[1]:
            continue
        spot = QPointF(float(frame.px(np.array(one.tip[0]))), float(frame.py(np.array(one.tip[1]))))
        if not frame.plot.adjusted(-2, -2, 2, 2).contains(spot):
            continue
        painter.setPen(_pen(QColor(t.surface), 1.5))
        painter.setBrush(one.series.ink())
        painter.drawEllipse(spot, 4.5, 4.5)
        spots.append((spot, text, one.series.ink()))
    font = ui_font(11, 600)
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    spots.sort(key=lambda found: found[0].y())
    tops = _stacked([spot.y() - TIP_HEIGHT / 2 for spot, *_ in spots], frame)
    for (spot, text, ink), top in zip(spots, tops, strict=True):
        wide = metrics.horizontalAdvance(text) + 12
        left = spot.x() + 9 if spot.x() + 9 + wide <= frame.plot.right() + 10 else spot.x() - 9 - wide
        box = QRectF(max(left, frame.plot.left()), top, wide, TIP_HEIGHT)
        alone = len(spots) == 1
        painter.setPen(Qt.PenStyle.NoPen if alone else _pen(ink, 1))
        painter.setBrush(QColor(t.text if alone else t.surface))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(t.surface if alone else t.text))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)


def _stacked(wanted: list[float], frame: Frame) -> list[float]:
    """Tops of labels below each other: none over another, none outside while there is room."""
    step, tops = TIP_HEIGHT + 2, list(wanted)
    low = frame.plot.top()
    for place, top in enumerate(tops):
        tops[place] = low = max(top, low)
        low += step
    high = frame.plot.bottom() - TIP_HEIGHT
    for place in range(len(tops) - 1, -1, -1):
        tops[place] = high = min(tops[place], high)
        high -= step
    return tops


def _raw(painter: QPainter, frame: Frame, line: tuple[Floats, Floats], one: Drawn, share: float) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(_pen(one.series.ink(share), 1))
    for part in _parts(frame, line):
        painter.drawPolyline(polygon(*part)) if len(part[0]) > 1 else painter.drawPoint(QPointF(part[0][0], part[1][0]))


def _strong(painter: QPainter, frame: Frame, one: Drawn, exact: bool) -> None:
    series, (x, y) = one.series, one.strong
    dots = series.form == "dots"
    if dots:
        usable = np.isfinite(y)
        x, y = x[usable], y[usable]
    style = Qt.PenStyle.DashLine if dots else series.line()
    spiky = one.strong is one.raw and _roughness(frame, y) > ROUGH
    for part in _parts(frame, (x, y)):
        _wide_line(painter, part, series.ink(), style, thin=dots or spiky, exact=exact)
    if dots or len(x) == 1:
        _dots(painter, frame, x, y, series.ink())


def _roughness(frame: Frame, y: Floats) -> float:
    """Pixels that a line goes up or down from point to point."""
    if len(y) <= WIDE_POINTS:
        return 0.0
    with np.errstate(invalid="ignore"):
        steps = np.abs(np.diff(frame.py(y)))
    usable = steps[np.isfinite(steps)]
    return float(usable.mean()) if len(usable) else 0.0


def _wide_line(
    painter: QPainter, part: tuple[Floats, Floats], ink: QColor, style: Qt.PenStyle, thin: bool, exact: bool
) -> None:
    few = len(part[0]) <= WIDE_POINTS
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, few or exact or not thin)
    if thin or few or exact:
        pen = _pen(ink, 1.0 if thin else 2.0, style)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.drawPolyline(polygon(*part))
        return
    painter.setPen(_pen(ink, 1, style))
    for right, down in OFFSETS:
        painter.drawPolyline(polygon(part[0] + right, part[1] + down))


def _dots(painter: QPainter, frame: Frame, x: Floats, y: Floats, ink: QColor) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(_pen(QColor(tokens().surface), RING))
    painter.setBrush(ink)
    size = DOT if len(x) <= MANY_DOTS else DOT / 2
    for px, py in zip(frame.px(x).tolist(), frame.py(y).tolist(), strict=True):
        painter.drawEllipse(QPointF(px, py), size, size)


def _odd_values(painter: QPainter, frame: Frame, one: Drawn) -> None:
    """A cross above where a value is no number, an arrow below where it has no place on a logarithmic scale."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(_pen(QColor(tokens().bad_text), 1.5))
    top, bottom = frame.plot.top() + 7, frame.plot.bottom() - 6
    for x in np.unique(np.round(frame.px(one.gaps))).tolist():
        painter.drawLine(QPointF(x - 3, top - 3), QPointF(x + 3, top + 3))
        painter.drawLine(QPointF(x - 3, top + 3), QPointF(x + 3, top - 3))
    for x in np.unique(np.round(frame.px(one.below))).tolist():
        painter.drawLine(QPointF(x - 3, bottom), QPointF(x, bottom + 4))
        painter.drawLine(QPointF(x + 3, bottom), QPointF(x, bottom + 4))


def _paint_begins(painter: QPainter, frame: Frame, marks: Sequence[tuple[float, ChartMark]]) -> None:
    """A thin line where an attempt begins, with its name if there is room."""
    t = tokens()
    font = ui_font(11)
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    end = -1e9
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for place, mark in marks:
        x = round(float(frame.px(np.array(place))))
        if mark.kind != "attempt" or not frame.plot.left() <= x <= frame.plot.right():
            continue
        painter.setPen(_pen(QColor(t.border_strong), 1, Qt.PenStyle.DotLine))
        painter.drawLine(QPointF(x, frame.plot.top()), QPointF(x, frame.plot.bottom()))
        wide = metrics.horizontalAdvance(mark.short)
        left = x + 4 if x + 4 + wide <= frame.plot.right() else x - 4 - wide
        if left > end + MARK_GAP:
            painter.setPen(QColor(t.muted))
            painter.drawText(QPointF(left, frame.plot.top() + metrics.ascent()), mark.short)
            end = left + wide


def _paint_saved(painter: QPainter, frame: Frame, marks: Sequence[tuple[float, ChartMark]]) -> None:
    """On the axis: a square where a checkpoint was saved, a triangle where one was taken up, a diamond of a guard."""
    t = tokens()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(_pen(QColor(t.surface), 1))
    y = frame.plot.bottom()
    for place, mark in marks:
        x = float(frame.px(np.array(place)))
        if mark.kind == "attempt" or not frame.plot.left() - 1 <= x <= frame.plot.right() + 1:
            continue
        painter.setBrush(QColor(t.secondary if mark.kind == "saved" else t.accent))
        if mark.kind == "guard":
            painter.setBrush(QColor(t.warn_fill))
            painter.drawPolygon(polygon(np.array([x - 5.0, x, x + 5, x]), np.array([y, y - 5.0, y, y + 5])))
        elif mark.kind == "saved":
            painter.drawRect(QRectF(x - 3, y - 3, 6, 6))
        else:
            painter.drawPolygon(polygon(np.array([x - 4.0, x + 5, x - 4]), np.array([y - 5.0, y, y + 5])))


def _parts(frame: Frame, line: tuple[Floats, Floats]) -> list[tuple[Floats, Floats]]:
    """Unbroken pieces of a line, in pixels."""
    x, y = line
    if not len(x):
        return []
    usable = ~np.isnan(y)
    px, py = frame.px(x), frame.py(y)
    if usable.all():
        return [(px, py)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]]).astype(np.int8)))
    return [(px[a:b], py[a:b]) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def polygon(x: Floats, y: Floats) -> QPolygonF:
    """Points as Qt takes them, without a Python object for each."""
    made: Any = QPolygonF()  # the stubs leave out what it has of a list
    made.resize(len(x))
    if len(x):
        address: Any = shiboken6.VoidPtr
        memory = np.frombuffer(address(made.data(), 16 * len(x), True), np.float64).reshape(-1, 2)
        memory[:, 0], memory[:, 1] = x, y
    return cast(QPolygonF, made)


def _pen(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    pen = QPen(colour, width, style)
    pen.setCosmetic(True)
    return pen
