"""The chart of a run's curves: raw faint, smoothed strong, validation as dots; wheel zooms, dragging pans."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QSize, Qt, QTimer, Slot
from PySide6.QtGui import QColor, QMouseEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from forge_desktop.bridge.backend import Floats
from forge_desktop.models.curves import Curve, smoothed, thinned
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import figure

SMOOTHING = 0.9
REDRAW_MS = 50
EMPTY: Floats = np.empty(0)
FAINT, GHOST = 95, 60
MARK_REACH_PX = 9


class CurveChart(QWidget):
    """Draws one metric (and its validation twin) of one run; it is handed curves and keeps no points."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        t = tokens()
        self._curve, self._validation = Curve(), Curve()
        self._smooth, self._log = True, False
        self._end: float | None = None
        self._attempts: dict[int, str] = {}
        self._marks: list[tuple[float, str]] = []
        self._plot = pg.PlotWidget(background=None)
        self._plot.setMenuEnabled(False)
        self._plot.hideButtons()
        self._plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._item = self._plot.getPlotItem()
        self._style_axes()
        faint = QColor(t.series[0])
        faint.setAlpha(FAINT)
        ghost = QColor(t.series[0])
        ghost.setAlpha(GHOST)
        self._ghost = self._item.plot([], [], pen=_pen(ghost, 1), antialias=False, connect="finite")
        self._raw = self._item.plot([], [], pen=_pen(faint, 1), antialias=False)
        self._strong = self._item.plot([], [], pen=_pen(QColor(t.series[0]), 2), antialias=True)
        self._dots = self._item.plot(
            [], [], pen=_pen(QColor(t.series[1]), 1, Qt.PenStyle.DashLine), symbol="o", symbolSize=9,
            symbolBrush=QColor(t.series[1]), symbolPen=_pen(QColor(t.surface), 1.5),
        )  # fmt: skip
        self._tip = pg.ScatterPlotItem(size=10, brush=QColor(t.series[0]), pen=_pen(QColor(t.surface), 2))
        self._item.addItem(self._tip)
        self._begins = pg.ScatterPlotItem(
            size=11, symbol="t1", brush=QColor(t.surface), pen=_pen(QColor(t.series[0]), 1.5)
        )  # fmt: skip
        self._begins.setZValue(5)
        self._item.addItem(self._begins)
        self._cross = pg.InfiniteLine(angle=90, pen=_pen(QColor(t.border_strong), 1, Qt.PenStyle.DashLine))
        self._cross.hide()
        self._item.addItem(self._cross, ignoreBounds=True)
        self._label = pg.TextItem(color=t.surface, fill=QColor(t.text), anchor=(0, 0.5))
        self._label.setFont(ui_font(11, 600))
        self._label.setZValue(10)
        self._item.addItem(self._label, ignoreBounds=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)
        self._soon = QTimer(self, singleShot=True, interval=REDRAW_MS)
        self._soon.timeout.connect(self.redraw)
        self._plot.scene().sigMouseMoved.connect(self._hover)
        self._item.getViewBox().sigXRangeChanged.connect(self._range_changed)
        self._plot.viewport().installEventFilter(self)
        self.setAccessibleName(tr("Chart"))

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(600, 230)

    def show_curves(self, curve: Curve, validation: Curve, name: str, smooth: bool) -> None:
        """Draw other curves from now on."""
        self._curve, self._validation, self._smooth = curve, validation, smooth
        self.setAccessibleName(name)
        self.reset_view()
        self.redraw()

    def set_end(self, step: float | None) -> None:
        """The last step there will be, so that the chart shows how far it is."""
        if step != self._end:
            self._end = step
            self.reset_view()
            self.touch()

    def set_attempts(self, texts: dict[int, str]) -> None:
        """What the mark at the beginning of each attempt says."""
        if texts != self._attempts:
            self._attempts = texts
            self.touch()

    def set_log(self, on: bool) -> None:
        """Logarithmic values."""
        self._log = on
        self._item.setLogMode(x=False, y=on)
        self._item.enableAutoRange(axis="y")
        self.redraw()

    def touch(self) -> None:
        """There are new points: redraw soon."""
        if not self._soon.isActive():
            self._soon.start()

    def reset_view(self) -> None:
        """Show everything again."""
        self._item.enableAutoRange(axis="y")
        if self._end:
            self._item.setXRange(0, self._end, padding=0.02)
        else:
            self._item.enableAutoRange(axis="x")

    def points_shown(self) -> int:
        """How many points of the raw curve are drawn now."""
        x, _ = self._raw.getData()
        return 0 if x is None else len(x)

    def marks(self) -> list[tuple[float, str]]:
        """Where attempts begin after the first, and what the marks say."""
        return list(self._marks)

    def points_overwritten(self) -> int:
        """How many points are drawn faint because a later attempt took their place."""
        x, value = self._ghost.getData()
        return 0 if x is None else int(np.isfinite(value).sum())

    @Slot()
    def redraw(self) -> None:
        """Draw what the curves hold now, thinned to the pixels there are."""
        x, value = self._curve.shown()
        pixels = max(200, int(self._plot.width()))
        strong = smoothed(value, SMOOTHING) if self._smooth else value
        self._raw.setData(*(self._cut(x, value, pixels) if self._smooth else (EMPTY, EMPTY)))
        self._strong.setData(*self._cut(x, strong, pixels))
        self._validation.set_begins(self._curve.begins())
        self._dots.setData(*self._cut(*self._validation.shown(), pixels))
        self._ghost.setData(*self._overwritten(pixels))
        self._show_begins(x, strong)
        self._show_last(x, strong)

    def _overwritten(self, pixels: int) -> tuple[Floats, Floats]:
        """The faint curve: each attempt's lost points by themselves, with gaps between."""
        x, value, attempt = self._curve.overwritten()
        parts_x, parts_value = [EMPTY], [EMPTY]
        for number in np.unique(attempt):
            mine = (attempt == number) & (value > 0 if self._log else np.isfinite(value))
            thin_x, thin = thinned(x[mine], value[mine], pixels)
            parts_x += [thin_x, np.array([np.nan])]
            parts_value += [thin, np.array([np.nan])]
        return np.concatenate(parts_x), np.concatenate(parts_value)

    def _show_begins(self, x: Floats, value: Floats) -> None:
        self._marks, spots = [], []
        for number, first in self._curve.begins()[1:]:
            place = int(np.searchsorted(x, first))
            if place < len(x) and np.isfinite(value[place]) and (value[place] > 0 or not self._log):
                height = float(np.log10(value[place]) if self._log else value[place])
                text = self._attempts.get(number) or tr("Attempt {n}", n=number)
                self._marks.append((first, labelled(text, tr("step {step}", step=f"{first:,.0f}"))))
                spots.append((first, height))
        self._begins.setData([spot[0] for spot in spots], [spot[1] for spot in spots])

    def _cut(self, x: Floats, value: Floats, pixels: int) -> tuple[Floats, Floats]:
        usable = np.isfinite(value) & (value > 0) if self._log else np.isfinite(value)
        x, value = x[usable], value[usable]
        low, high = self._item.getViewBox().viewRange()[0]
        first, last = np.searchsorted(x, (low, high))
        if first > 1 or last < len(x) - 1:  # zoomed in: thin what can be seen only
            x, value = x[max(0, first - 1) : last + 1], value[max(0, first - 1) : last + 1]
        return thinned(x, value, pixels)

    def _show_last(self, x: Floats, value: Floats) -> None:
        usable = np.flatnonzero(np.isfinite(value))
        if len(usable) == 0:
            self._tip.setData([], [])
            self._label.setText("")
            return
        place = usable[-1]
        at, height = float(x[place]), float(value[place])
        drawn = float(np.log10(height)) if self._log and height > 0 else height
        self._tip.setData([at], [drawn])
        low, high = self._item.getViewBox().viewRange()[0]
        self._label.setAnchor((1.0, 1.5) if at > low + 0.7 * (high - low) else (-0.08, 0.5))
        self._label.setText(tr("step {step} · {value}", step=f"{at:,.0f}", value=figure(height)))
        self._label.setPos(at, drawn)

    @Slot(object)
    def _hover(self, place: QPointF) -> None:
        x, value = self._curve.shown()
        if len(x) == 0 or not self._item.sceneBoundingRect().contains(place):
            self._cross.hide()
            return
        at = self._item.getViewBox().mapSceneToView(place).x()
        near = int(np.clip(np.searchsorted(x, at), 0, len(x) - 1))
        self._cross.setPos(float(x[near]))
        self._cross.show()
        text = tr("step {step} · {value}", step=f"{x[near]:,.0f}", value=figure(float(value[near])))
        reach = MARK_REACH_PX * self._item.getViewBox().viewPixelSize()[0]
        self._plot.setToolTip("\n".join([text, *(said for first, said in self._marks if abs(first - at) <= reach)]))

    @Slot()
    def _range_changed(self) -> None:
        self.touch()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: a double click shows everything again, leaving hides the crosshair."""
        if event.type() == QEvent.Type.MouseButtonDblClick and isinstance(event, QMouseEvent):
            self.reset_view()
            return True
        if event.type() == QEvent.Type.Leave:
            self._cross.hide()
        return super().eventFilter(watched, event)

    def _style_axes(self) -> None:
        t = tokens()
        self._item.showGrid(y=True, alpha=0.35)
        for side in ("left", "bottom"):
            axis = self._item.getAxis(side)
            axis.setPen(_pen(QColor(t.border), 1))
            axis.setTextPen(QColor(t.muted))
            axis.setStyle(tickFont=ui_font(11), tickLength=0, tickTextOffset=8)
            axis.enableAutoSIPrefix(False)
        self._item.getAxis("left").setWidth(56)
        self._item.getAxis("left").setGrid(60)
        self._item.getAxis("bottom").setGrid(False)


def _pen(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    pen = QPen(colour, width, style)
    pen.setCosmetic(True)
    return pen
