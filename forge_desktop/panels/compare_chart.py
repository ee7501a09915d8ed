"""One metric of several runs in one picture: each has its colour, its dash and its letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from forge_desktop.bridge.backend import Floats
from forge_desktop.models.curves import smoothed
from forge_desktop.panels.compare_paint import (
    Scale,
    padded,
    paint_axes,
    paint_letter,
    pen_of,
    plot_area,
    short,
    thin,
)
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import figure
from forge_desktop.theme.spoken import speak_as

REDRAW_MS = 60


@dataclass(frozen=True)
class Strand:
    """One run's curve."""

    place: int
    letter: str
    name: str
    x: Floats
    y: Floats


class CompareChart(QWidget):
    """Paints the strands it is handed."""

    drawn = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("compare.chart")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(260)
        self.setMouseTracking(True)
        speak_as(self, "chart")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._strands: list[Strand] = []
        self._x_form = "number"
        self._log = False
        self.loading = True
        """Say that curves are on their way, rather than that there are none."""
        self._zoom: tuple[float, float] | None = None
        self._at: float | None = None
        self._grab: float | None = None
        self._soon = QTimer(self, singleShot=True, interval=REDRAW_MS)
        self._soon.timeout.connect(self.update)

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(600, 320)

    def show_strands(self, strands: Sequence[Strand], name: str, x_form: str, smoothing: float, log: bool) -> None:
        """Draw other curves from now on; `x_form` is number or seconds."""
        made = []
        for one in strands:
            usable = np.isfinite(one.x) & np.isfinite(one.y) & ((one.y > 0) if log else True)
            x, y = one.x[usable], smoothed(one.y[usable], smoothing if len(one.x) > 20 else 0.0)
            made.append(Strand(one.place, one.letter, one.name, x, np.log10(y) if log else y))
        if x_form != self._x_form:
            self._zoom = None
        self._strands, self._x_form, self._log = made, x_form, log
        self.setAccessibleName(name)
        said = [f"{one.letter} {one.name}: {figure(self._plain(one.y[-1]))}" for one in made if len(one.y)]
        self.setAccessibleDescription("; ".join(said))
        if not self._soon.isActive():
            self._soon.start()

    def strands(self) -> list[Strand]:
        """What is drawn; values are exponents on a logarithmic scale."""
        return list(self._strands)

    def reset_view(self) -> None:
        """Show everything again."""
        self._zoom = None
        self.update()

    def _plain(self, value: float) -> float:
        return float(10**value if self._log else value)

    def _extent(self) -> tuple[float, float]:
        ends = [(one.x[0], one.x[-1]) for one in self._strands if len(one.x)]
        low = min((float(end[0]) for end in ends), default=0.0)
        high = max((float(end[1]) for end in ends), default=1.0)
        return (min(low, 0.0) if low < 0.1 * high else low, high) if high > low else (low - 0.5, low + 0.5)

    def _scale(self) -> Scale:
        x = self._zoom or self._extent()
        seen = [one.y[(one.x >= x[0]) & (one.x <= x[1])] for one in self._strands]
        y = padded(np.concatenate([*seen, np.empty(0)]))
        return Scale(plot_area(self.size()), x, y, self._log)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        if not any(len(one.x) for one in self._strands):
            painter.setPen(QColor(tokens().muted))
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter),
                             tr("Loading curves…") if self.loading else tr("No points yet."))  # fmt: skip
            painter.end()
            return
        scale = self._scale()
        paint_axes(painter, scale, self._x_form, "number")
        painter.setClipRect(scale.area.adjusted(0, -4, 24, 4))
        for one in self._strands:
            self._paint_strand(painter, scale, one)
        painter.setClipping(False)
        if self._at is not None:
            self._paint_cross(painter, scale, self._at)
        painter.end()
        self.drawn.emit()

    def _paint_strand(self, painter: QPainter, scale: Scale, one: Strand) -> None:
        first, last = np.searchsorted(one.x, scale.x)
        part = slice(max(0, first - 1), last + 1)
        x, y = thin(one.x[part], one.y[part], max(50, int(scale.area.width())))
        if len(x) == 0:
            return
        px, py = scale.px(x), scale.py(y)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, len(x) < 2000)
        painter.setPen(pen_of(one.place))
        painter.drawPolyline(QPolygonF([QPointF(a, b) for a, b in zip(px.tolist(), py.tolist(), strict=True)]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_letter(
            painter, QPointF(min(float(px[-1]), scale.area.right()) + 10, float(py[-1])), one.place, one.letter
        )

    def _paint_cross(self, painter: QPainter, scale: Scale, at: float) -> None:
        t = tokens()
        if not scale.area.left() <= at <= scale.area.right():
            return
        painter.setPen(QPen(QColor(t.border_strong), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(at, scale.area.top()), QPointF(at, scale.area.bottom()))
        x = scale.at(at)
        rows = [short(x, self._x_form) if self._x_form == "seconds" else f"{x:,.0f}"]
        rows += [f"{one.letter}  {figure(self._plain(self._near(one, x)))}  {one.name[:28]}" for one in self._strands
                 if len(one.x) and one.x[0] <= x <= one.x[-1]]  # fmt: skip
        painter.setFont(ui_font(11, 500))
        metrics = QFontMetricsF(painter.font())
        wide = max(metrics.horizontalAdvance(row) for row in rows) + 16
        left = at + 10 if at + 10 + wide < self.width() else at - 10 - wide
        box = QRectF(left, scale.area.top() + 4, wide, 16 * len(rows) + 8)
        painter.setPen(QColor(t.border_strong))
        painter.setBrush(QColor(t.surface2))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(QColor(t.text))
        for number, row in enumerate(rows):
            painter.drawText(QPointF(box.left() + 8, box.top() + 16 + 16 * number), row)

    def _near(self, one: Strand, x: float) -> float:
        return float(one.y[min(int(np.searchsorted(one.x, x)), len(one.y) - 1)])

    # Moving about

    def zoom_by(self, factor: float, about: float | None = None) -> None:
        """See less (below 1) or more of x, around a value."""
        low, high = self._zoom or self._extent()
        whole = self._extent()
        about = (low + high) / 2 if about is None else about
        low, high = about - (about - low) * factor, about + (high - about) * factor
        low, high = max(low, whole[0]), min(high, whole[1])
        self._zoom = None if (low, high) == whole or high <= low else (low, high)
        self.update()

    def pan_by(self, share: float) -> None:
        """Move what is seen by a share of its width."""
        if self._zoom is None:
            return
        (low, high), whole = self._zoom, self._extent()
        by = min(max(share * (high - low), whole[0] - low), whole[1] - high)
        self._zoom = (low + by, high + by)
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook: zoom with Ctrl, or once it is zoomed; else the page scrolls."""
        if not (event.modifiers() & Qt.KeyboardModifier.ControlModifier or self._zoom):
            event.ignore()
            return
        self.zoom_by(0.8 if event.angleDelta().y() > 0 else 1.25, self._scale().at(event.position().x()))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        self._grab = event.position().x()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Qt's own hook."""
        self._grab = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the crosshair, or dragging."""
        at = event.position().x()
        if self._grab is not None and self._zoom is not None:
            self.pan_by((self._grab - at) / max(1.0, plot_area(self.size()).width()))
            self._grab = at
        self._at = at
        self.update()

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        """Qt's own hook."""
        self.reset_view()

    def leaveEvent(self, _event: QEvent) -> None:
        """Qt's own hook."""
        self._at = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: plus and minus zoom, arrows move, Home shows everything."""
        does = {
            Qt.Key.Key_Plus: lambda: self.zoom_by(0.7),
            Qt.Key.Key_Equal: lambda: self.zoom_by(0.7),
            Qt.Key.Key_Minus: lambda: self.zoom_by(1.4),
            Qt.Key.Key_Left: lambda: self.pan_by(-0.2),
            Qt.Key.Key_Right: lambda: self.pan_by(0.2),
            Qt.Key.Key_Home: self.reset_view,
        }.get(Qt.Key(event.key()))
        if does is None:
            super().keyPressEvent(event)
        else:
            does()
