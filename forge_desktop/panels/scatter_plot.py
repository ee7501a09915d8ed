"""The picture of all runs, drawn by pyqtgraph, which is imported with this module: not before the page needs it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QFrame

from forge_desktop.models.run_picture import Picture
from forge_desktop.panels.compare_paint import colour_of, short, ticks
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.staged_import import StagedPackage

StagedPackage.of("pyqtgraph").finish()  # somebody may have begun and gone away
import pyqtgraph as pg  # noqa: E402

MANY = 2000
REACH_PX = 12
AIR_X, AIR_Y = 0.06, 0.1
LEFT, TICK_X, TICK_Y = 48, 80, 46


class _Axis(pg.AxisItem):  # type: ignore[misc]
    """Round figures in the words of the page."""

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.form = "number"
        t = tokens()
        self.setStyle(tickFont=ui_font(11), tickLength=0, tickTextOffset=8)
        self.setPen(pg.mkPen(QColor(t.border)))
        self.setTextPen(pg.mkPen(QColor(t.muted)))
        if side == "left":
            self.setWidth(LEFT)

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        """pyqtgraph's own hook."""
        gap = TICK_Y if self.orientation == "left" else TICK_X
        found = ticks(low, high, max(2, int(size / gap)), self.form)
        return [(found[1] - found[0] if len(found) > 1 else high - low, found)]

    def tickStrings(self, values: list[float], _scale: float, _spacing: float) -> list[str]:
        """pyqtgraph's own hook."""
        return [short(value, self.form) for value in values]


class ScatterPlot(pg.PlotWidget):  # type: ignore[misc]
    """Shows a picture; what the mouse does is passed on."""

    hovered = Signal(int, QPoint)
    """A place among the points or -1, and where the mouse is on the screen."""
    pressed = Signal(int)

    def __init__(self) -> None:
        self._x_axis, self._y_axis = _Axis("bottom"), _Axis("left")
        super().__init__(background=QColor(tokens().surface), axisItems={"bottom": self._x_axis, "left": self._y_axis})
        for axis in (self._x_axis, self._y_axis):
            axis.setZValue(-1)  # the grid lies behind the points
        self.setObjectName("compare.scatter.plot")
        self.setFrameShape(QFrame.Shape.NoFrame)
        for part in (self, self.viewport()):  # keys go to the frame about it
            part.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.showGrid(x=False, y=True, alpha=0.6)
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._picture = Picture()
        t = tokens()
        edge = pg.mkPen(QColor(t.surface), width=1)
        self._dots = pg.ScatterPlotItem(pen=edge, brush=pg.mkBrush(QColor(t.muted)), size=9)
        self._best = pg.PlotCurveItem(
            antialias=True, pen=pg.mkPen(QColor(t.ok_fill), width=1.5, style=Qt.PenStyle.DashLine)
        )
        self._mine = pg.ScatterPlotItem(pen=edge, size=18)
        self._ring = pg.ScatterPlotItem(pen=pg.mkPen(QColor(t.accent), width=2), brush=None, size=23)
        self._texts: list[Any] = []
        for made in (self._best, self._dots, self._mine, self._ring):
            self.addItem(made)
        self.scene().sigMouseMoved.connect(self._moved)
        self.scene().sigMouseClicked.connect(self._clicked)

    def show_picture(self, picture: Picture) -> None:
        """Draw other points."""
        same = (picture.price, picture.quality) == (self._picture.price, self._picture.quality)
        keep_view = same and len(self._picture.points) > 0 and len(picture.points) > 0
        self._picture = picture
        self._x_axis.form, self._y_axis.form = picture.price.form, picture.quality.form
        self._dots.setData(x=picture.x, y=picture.y, size=9 if len(picture.x) < MANY else 5)
        self._draw_best()
        self._draw_mine()
        self.choose(-1)
        if not keep_view and len(picture.x):
            self.reset_view()

    def reset_view(self) -> None:
        """Show everything again."""
        for low, high, put, air in (
            (*_ends(self._picture.x), self.setXRange, AIR_X), (*_ends(self._picture.y), self.setYRange, AIR_Y)
        ):  # fmt: skip
            put(low - air * (high - low), high + air * (high - low), padding=0)

    def choose(self, place: int) -> None:
        """Put a ring about a point, or away."""
        spot = slice(place, place + 1) if place >= 0 else slice(0, 0)
        self._ring.setData(x=self._picture.x[spot], y=self._picture.y[spot])

    def place_of(self, place: int) -> QPoint:
        """Where a point is in the viewport."""
        spot = QPointF(float(self._picture.x[place]), float(self._picture.y[place]))
        return cast(QPoint, self.mapFromScene(self.getViewBox().mapViewToScene(spot)))

    def near(self, at: QPointF) -> int:
        """The point under a place of the scene, or -1."""
        box = self.getViewBox()
        if not len(self._picture.x) or not box.sceneBoundingRect().contains(at):
            return -1
        here, (wide, high) = box.mapSceneToView(at), box.viewPixelSize()
        away = ((self._picture.x - here.x()) / wide) ** 2 + ((self._picture.y - here.y()) / high) ** 2
        place = int(away.argmin())
        return place if away[place] <= REACH_PX**2 else -1

    def paint_export(self, painter: QPainter) -> None:
        """Lines and circles rather than pictures of them, for files."""
        items = (self._dots, self._best, self._mine, self._ring)
        for made in items:
            made.setExportMode(True)
        try:
            self.render(painter)
        finally:
            for made in items:
                made.setExportMode(False)

    def _draw_best(self) -> None:
        x, y = self._picture.best_line()
        if not len(x):
            self._best.setData(x=[], y=[])
            return
        right = float(self._picture.x[-1])
        corners_x = np.append(np.repeat(x, 2)[1:], [right])
        self._best.setData(x=corners_x, y=np.repeat(y, 2)[: len(corners_x)])

    def _draw_mine(self) -> None:
        for made in self._texts:
            self.removeItem(made)
        picture = self._picture
        mine = [place for place, point in enumerate(picture.points) if point.uid in picture.letters]
        known = [picture.letters[picture.points[place].uid] for place in mine]
        brushes = [pg.mkBrush(colour_of(number)) for number, _letter in known]
        self._mine.setData(x=picture.x[mine], y=picture.y[mine], **({"brush": brushes} if mine else {}))
        self._texts = []
        for place, (_number, letter) in zip(mine, known, strict=True):
            text = pg.TextItem(letter, color=QColor("#FFFFFF" if not tokens().dark else tokens().bg), anchor=(0.5, 0.5))
            text.setFont(ui_font(10, 700))
            text.setPos(float(picture.x[place]), float(picture.y[place]))
            self.addItem(text)
            self._texts.append(text)

    def _moved(self, at: QPointF) -> None:
        self.hovered.emit(self.near(at), self.mapToGlobal(self.mapFromScene(at)))

    def _clicked(self, event: Any) -> None:
        if event.double():
            self.reset_view()
        elif event.button() is Qt.MouseButton.LeftButton:
            self.pressed.emit(self.near(event.scenePos()))


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        spare = abs(low) * 0.1 or 0.5
        return low - spare, high + spare
    return low, high
