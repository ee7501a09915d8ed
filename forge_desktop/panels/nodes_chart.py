"""A line a node over the last hour or day, with the limit, a legend, and a crosshair that says what each was."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from forge_desktop.models.chart_ticks import moment_ticks, plain_ticks
from forge_desktop.models.nodes_history import Line
from forge_desktop.theme.language import labelled
from forge_desktop.theme.look import tokens
from forge_desktop.theme.spoken import speak_as

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 24
HEIGHT = 190
KEY_STEP = 40
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)


@dataclass(frozen=True)
class Limit:
    """Past `value` an alert is raised, back at `over` it is over."""

    value: float
    over: float


@dataclass(frozen=True)
class Strand:
    """One node's line."""

    name: str
    points: Line
    colour: int
    strong: bool = False
    """It is the one that matters: above its limit."""

    @property
    def ink(self) -> str:
        """Its colour."""
        t = tokens()
        return t.bad_fill if self.strong else t.series[self.colour % len(t.series)]

    @property
    def dash(self) -> int:
        """Its line, where colours repeat."""
        return self.colour // len(tokens().series)


class NodesChart(QWidget):
    """Paints; knows nothing of nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nodes.chart")
        speak_as(self, "chart")
        self.setMinimumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._strands: list[Strand] = []
        self._span, self._unit = (0.0, 1.0), ""
        self._limits: list[Limit] = []
        self._low, self._high = 0.0, 100.0
        self._at: float | None = None

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(600, HEIGHT)

    def show_lines(
        self, strands: Sequence[Strand], span: tuple[float, float], unit: str, limits: Sequence[Limit], name: str
    ) -> None:
        """Show lines between two moments; a limit is a dashed line, and a dotted one where it is over again."""
        self._strands, self._span, self._unit, self._limits = list(strands), span, unit, list(limits)
        values = [value for strand in strands for _t, value in strand.points]
        if unit == "%":
            self._low, self._high = 0.0, 100.0
        else:
            marks = [value for limit in limits for value in (limit.value, limit.over)] or [60.0]
            low, high = min([*values, *marks]), max([*values, *marks])
            air = max(4.0, 0.08 * (high - low))
            self._low, self._high = low - air, high + air
        said = [f"{strand.name} {strand.points[-1][1]:.0f} {unit}" for strand in strands if strand.points]
        self.setAccessibleName(labelled(name, ", ".join(said)) if said else name)
        self.update()

    def _box(self) -> QRectF:
        return QRectF(LEFT, TOP, max(10, self.width() - LEFT - RIGHT), max(10, self.height() - TOP - BOTTOM))

    def _point(self, box: QRectF, t: float, value: float) -> QPointF:
        begin, end = self._span
        share = (t - begin) / ((end - begin) or 1.0)
        height = (min(max(value, self._low), self._high) - self._low) / ((self._high - self._low) or 1.0)
        return QPointF(box.left() + box.width() * share, box.bottom() - box.height() * height)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = self._box()
        self._paint_axes(painter, box)
        self._paint_limits(painter, box)
        for strand in sorted(self._strands, key=lambda one: one.strong):
            style = DASHES[strand.dash % len(DASHES)]
            painter.setPen(QPen(QColor(strand.ink), 2.2 if strand.strong else 1.6, style))
            painter.drawPolyline(QPolygonF([self._point(box, t, value) for t, value in strand.points]))
        self._paint_crosshair(painter, box)
        if self.hasFocus():
            painter.setPen(QPen(QColor(tokens().accent), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()

    def _paint_axes(self, painter: QPainter, box: QRectF) -> None:
        t, font = tokens(), self.font()
        font.setPixelSize(11)
        painter.setFont(font)
        degree = "°" if self._unit == "°C" else self._unit
        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for value, text in plain_ticks(self._low, self._high, 4):
            y = self._point(box, self._span[0], value).y()
            painter.setPen(QPen(QColor(t.border), 1))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            painter.setPen(QColor(t.muted))
            painter.drawText(QRectF(0, y - 8, LEFT - 8, 16), right, f"{text}{degree}")
        for moment, text in moment_ticks(*self._span, max(3, round(box.width() / 140))):
            x = self._point(box, moment, self._low).x()
            painter.setPen(QColor(t.muted))
            middle = int(Qt.AlignmentFlag.AlignCenter)
            x = min(max(x, box.left() + 20), box.right() - 20)
            painter.drawText(QRectF(x - 40, box.bottom() + 6, 80, 16), middle, text)

    def _paint_limits(self, painter: QPainter, box: QRectF) -> None:
        for limit in self._limits:
            for value, style, width in ((limit.value, Qt.PenStyle.DashLine, 1.2), (limit.over, Qt.PenStyle.DotLine, 1)):
                painter.setPen(QPen(QColor(tokens().bad_fill), width, style))
                y = self._point(box, self._span[0], value).y()
                painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))

    def limits(self) -> list[Limit]:
        """Those that are drawn."""
        return list(self._limits)

    def _paint_crosshair(self, painter: QPainter, box: QRectF) -> None:
        if self._at is None:
            return
        painter.setPen(QPen(QColor(tokens().muted), 1, Qt.PenStyle.DotLine))
        x = self._point(box, self._at, self._low).x()
        painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
        for strand in self._strands:
            near = nearest(strand.points, self._at)
            if near is not None:
                painter.setPen(QPen(QColor(tokens().surface), 1.5))
                painter.setBrush(QColor(strand.ink))
                painter.drawEllipse(self._point(box, *near), 4, 4)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        self._point_at(event.position().x())

    def leaveEvent(self, event: QEvent) -> None:
        """Qt's own hook."""
        super().leaveEvent(event)
        self._at = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: left and right move the crosshair."""
        turn = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if turn is None or not self._strands:
            super().keyPressEvent(event)
            return
        begin, end = self._span
        at = end if self._at is None else self._at + turn * (end - begin) / KEY_STEP
        self._point_at(self._point(self._box(), min(max(at, begin), end), self._low).x())

    def _point_at(self, x: float) -> None:
        box, (begin, end) = self._box(), self._span
        share = (x - box.left()) / box.width()
        self._at = begin + share * (end - begin) if 0 <= share <= 1 and self._strands else None
        self.update()
        text = self.text_at(self._at)
        self.setAccessibleDescription(text)
        if text:
            QToolTip.showText(self.mapToGlobal(QPointF(x + 12, box.top()).toPoint()), text, self)

    def text_at(self, at: float | None) -> str:
        """What each node was like at a moment."""
        if at is None:
            return ""
        lines = [time.strftime("%H:%M:%S", time.localtime(at))]
        found = [(near[1], strand.name) for strand in self._strands if (near := nearest(strand.points, at)) is not None]
        return "\n".join(lines + [f"{name}  {value:.0f} {self._unit}" for value, name in sorted(found, reverse=True)])


def nearest(points: Line, at: float) -> tuple[float, float] | None:
    """The reading closest to a moment; None where there is none for long."""
    if not points:
        return None
    place = bisect_left(points, at, key=lambda point: point[0])
    near = min(points[max(0, place - 1) : place + 1], key=lambda point: abs(point[0] - at))
    step = (points[-1][0] - points[0][0]) / max(1, len(points) - 1)
    return near if abs(near[0] - at) <= max(60.0, 3 * step) else None
