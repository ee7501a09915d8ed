"""All ended runs as points: what came of each against what it took, with the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from engine.contract.listing import RunPoint
from forge_desktop.bridge.backend import Floats
from forge_desktop.panels.compare_paint import Scale, padded, paint_axes, paint_letter, plot_area
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import duration, figure, money, percent
from forge_desktop.theme.spoken import speak_as

REACH_PX = 12


@dataclass(frozen=True)
class Axis:
    """What one axis shows of a point."""

    key: str
    form: str
    more_is_better: bool = False

    def of(self, point: RunPoint) -> float | None:
        """Its value, or None."""
        value = getattr(point, self.key)
        return None if value is None else float(value)

    def written(self, value: float, currency: str) -> str:
        """The value for people."""
        if self.form == "seconds":
            return duration(value)
        if self.form == "share":
            return percent(value, 1)
        return money(value, currency) if self.key == "cost" else figure(value)


QUALITIES = {
    "score": Axis("score", "share", more_is_better=True),
    "validation_loss": Axis("validation_loss", "number"),
    "loss": Axis("loss", "number"),
}
PRICES = {"seconds": Axis("seconds", "seconds"), "cost": Axis("cost", "number")}


def best_so_far(x: Floats, y: Floats, more: bool) -> tuple[Floats, Floats]:
    """The points that beat everything that took no more, by rising x."""
    order = np.lexsort((-y if more else y, x))
    x, y = x[order], y[order]
    running = np.maximum.accumulate(y) if more else np.minimum.accumulate(y)
    better = np.append(True, running[1:] != running[:-1]) if len(y) else np.empty(0, bool)
    return x[better], y[better]


class CompareScatter(QWidget):
    """Paints the points; a click, or Enter on the one chosen by the arrows, opens the run."""

    opened = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("compare.scatter")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(220, 260)
        self.setMouseTracking(True)
        speak_as(self, "chart")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("All runs"))
        self._points: list[RunPoint] = []
        self._x: Floats = np.empty(0)
        self._y: Floats = np.empty(0)
        self._letters: dict[str, tuple[int, str]] = {}
        self._quality, self._price = QUALITIES["score"], PRICES["seconds"]
        self._currency = "USD"
        self._chosen = -1

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(330, 300)

    def show_points(
        self,
        points: Sequence[RunPoint],
        letters: dict[str, tuple[int, str]],
        quality: str,
        price: str,
        currency: str = "USD",
    ) -> None:
        """Show these runs; those without one of the two values are left out."""
        self._quality, self._price, self._currency = QUALITIES[quality], PRICES[price], currency
        usable = [(p, self._price.of(p), self._quality.of(p)) for p in points]
        kept = [(p, x, y) for p, x, y in usable if x is not None and y is not None and np.isfinite([x, y]).all()]
        kept.sort(key=lambda found: found[1] or 0.0)
        self._points = [p for p, _x, _y in kept]
        self._x = np.array([x for _p, x, _y in kept], float)
        self._y = np.array([y for _p, _x, y in kept], float)
        self._letters, self._chosen = letters, -1
        self.update()

    def shown(self) -> list[RunPoint]:
        """The runs that are drawn, by what they took."""
        return list(self._points)

    def best_line(self) -> tuple[Floats, Floats]:
        """The best so far."""
        return best_so_far(self._x, self._y, self._quality.more_is_better)

    def _scale(self) -> Scale:
        return Scale(plot_area(self.size()), padded(self._x, 0.06), padded(self._y, 0.1))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        t = tokens()
        if not self._points:
            painter.setPen(QColor(t.muted))
            flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
            painter.drawText(self.rect().adjusted(20, 0, -20, 0), flags, tr("No ended run has both values yet."))
            painter.end()
            return
        scale = self._scale()
        paint_axes(painter, scale, self._price.form, self._quality.form)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_best(painter, scale)
        px, py = scale.px(self._x), scale.py(self._y)
        painter.setPen(QPen(QColor(t.surface), 1))
        painter.setBrush(QColor(t.muted))
        small = 4.0 if len(px) < 2000 else 2.0
        for x, y in zip(px.tolist(), py.tolist(), strict=True):
            painter.drawEllipse(QPointF(x, y), small, small)
        for place, point in enumerate(self._points):
            if point.uid in self._letters:
                paint_letter(painter, QPointF(float(px[place]), float(py[place])), *self._letters[point.uid])
        if 0 <= self._chosen < len(self._points):
            painter.setPen(QPen(QColor(t.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(float(px[self._chosen]), float(py[self._chosen])), 11, 11)
        painter.end()

    def _paint_best(self, painter: QPainter, scale: Scale) -> None:
        x, y = self.best_line()
        px, py = scale.px(x).tolist(), scale.py(y).tolist()
        corners = []
        for number, (at, height) in enumerate(zip(px, py, strict=True)):
            if number:
                corners.append(QPointF(at, py[number - 1]))
            corners.append(QPointF(at, height))
        if corners:
            corners.append(QPointF(scale.area.right(), corners[-1].y()))
        painter.setPen(QPen(QColor(tokens().ok_fill), 1.5, Qt.PenStyle.DashLine))
        painter.drawPolyline(QPolygonF(corners))

    # Choosing

    def said(self, place: int) -> str:
        """What a tooltip says of a run."""
        point = self._points[place]
        letter = self._letters.get(point.uid)
        name = f"{letter[1]} · {point.name}" if letter else point.name
        y = self._quality.written(float(self._y[place]), self._currency)
        x = self._price.written(float(self._x[place]), self._currency)
        return f"{name}\n{y} · {x}"

    def near(self, at: QPointF) -> int:
        """The point under the mouse, or -1."""
        if not self._points:
            return -1
        scale = self._scale()
        away = (scale.px(self._x) - at.x()) ** 2 + (scale.py(self._y) - at.y()) ** 2
        place = int(away.argmin())
        return place if away[place] <= REACH_PX**2 else -1

    def place_of(self, place: int) -> QPointF:
        """Where a point is."""
        scale = self._scale()
        return QPointF(float(scale.px(self._x)[place]), float(scale.py(self._y)[place]))

    def _choose(self, place: int) -> None:
        if place != self._chosen:
            self._chosen = place
            self.setCursor(Qt.CursorShape.PointingHandCursor if place >= 0 else Qt.CursorShape.ArrowCursor)
            self.setAccessibleDescription(self.said(place) if place >= 0 else "")
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        place = self.near(event.position())
        self._choose(place)
        if place >= 0:
            QToolTip.showText(event.globalPosition().toPoint(), self.said(place), self)
        else:
            QToolTip.hideText()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        place = self.near(event.position())
        if place >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.opened.emit(self._points[place].uid)

    def leaveEvent(self, _event: QEvent) -> None:
        """Qt's own hook."""
        self._choose(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: arrows choose a run, Enter opens it."""
        key = event.key()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._points:
            step = 1 if key == Qt.Key.Key_Right else -1
            self._choose(min(max(self._chosen + step, 0), len(self._points) - 1))
            QToolTip.showText(self.mapToGlobal(self.place_of(self._chosen).toPoint()), self.said(self._chosen), self)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._chosen >= 0:
            self.opened.emit(self._points[self._chosen].uid)
        else:
            super().keyPressEvent(event)
