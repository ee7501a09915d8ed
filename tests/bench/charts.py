"""Painted frames a second with eight curves of a million points that grow, against pyqtgraph in the same run.

Frames are counted by processor time, so that a busy machine changes little. pyqtgraph draws the same raw curves with
its own downsampling and clipping, antialiasing off, and nothing besides; ours draws the smoothed lines too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QWidget

from forge_desktop.bridge.points import SeriesPart
from forge_desktop.models.curves import Curve
from forge_desktop.models.series_view import CurveSource
from forge_desktop.panels.chart_series import ChartSeries, ChartSwitches
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.theme import look

CURVES, POINTS = 8, 1_000_000
RATE = 100
"""Points a second and curve; a frame of sixty a second brings two of them."""
FRAMES, ROUNDS = 60, 5
SIZE = (1000, 420)
PER_FRAME = -(-RATE // 60)


class Paints(QObject):
    """Counts paintings, so that a frame that was not painted is not counted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook."""
        self.count += event.type() == QEvent.Type.Paint
        return False


def values(number: int) -> np.ndarray:
    """A falling, noisy curve."""
    x = np.arange(POINTS)
    return np.asarray(3 * np.exp(-x / 2e5) + 0.3 * number + np.random.default_rng(number).normal(0, 0.1, POINTS))


def ours(zoomed: bool) -> tuple[Callable[[], None], Paints]:
    """A frame of our chart: take the new points, paint."""
    curves = []
    for number in range(CURVES):
        curve, x = Curve(), np.arange(float(POINTS))
        curve.replace(SeriesPart(np.ones(POINTS, np.int32), x, x, values(number)))
        curves.append(curve)
    chart = CurveChart()
    chart.resize(*SIZE)
    chart.set_series([ChartSeries(f"run {n}", CurveSource(curve), n, n) for n, curve in enumerate(curves)])
    chart.set_switches(ChartSwitches(window="share" if zoomed else "all"))
    chart.show_state("ready")
    chart.show()
    reached = [POINTS]

    def frame() -> None:
        new = [(float(reached[0] + n), float(reached[0] + n), 1.0) for n in range(PER_FRAME)]
        reached[0] += PER_FRAME
        for curve in curves:
            curve.append(1, new)
        chart.repaint()

    QApplication.processEvents()
    return frame, Paints(chart)


def pyqtgraph() -> tuple[Callable[[], None], Paints]:
    """A frame of pyqtgraph, as its documentation advises for much data."""
    import pyqtgraph as pg

    plot = pg.PlotWidget()
    plot.resize(*SIZE)
    x = np.arange(float(POINTS + 1_000_000))
    grown = [np.concatenate([values(number), np.ones(1_000_000)]) for number in range(CURVES)]
    items = [plot.plot(pen=pg.mkPen(pg.intColor(n), width=1)) for n in range(CURVES)]
    plot.setDownsampling(auto=True, mode="peak")
    plot.setClipToView(True)
    plot.show()
    reached = [POINTS]

    def frame() -> None:
        reached[0] += PER_FRAME
        for item, value in zip(items, grown, strict=True):
            item.setData(x[: reached[0]], value[: reached[0]], antialias=False, skipFiniteCheck=True)
        plot.viewport().repaint()

    QApplication.processEvents()
    return frame, Paints(plot.viewport())


def rate(what: tuple[Callable[[], None], Paints], frames: int) -> float:
    """Painted frames a second of processor time."""
    frame, paints = what
    before, begin = paints.count, time.process_time()
    for _ in range(frames):
        frame()
    painted = paints.count - before
    assert painted >= frames, "a frame was not painted"
    return frames / (time.process_time() - begin)


def main() -> None:
    """Interleaved rounds, medians."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    look.load_fonts()
    look.apply(app, "light")
    whole, tenth, plain = ours(False), ours(True), pyqtgraph()
    for frame in (whole, tenth, plain):
        rate(frame, 3)
    rounds = [(rate(whole, FRAMES), rate(tenth, FRAMES), rate(plain, FRAMES // 4)) for _ in range(ROUNDS)]
    one, other, theirs = (float(np.median([part[place] for part in rounds])) for place in range(3))
    print(f"{CURVES} curves of {POINTS:,} points, {RATE} more a second each, {SIZE[0]} × {SIZE[1]} pixels\n")
    print("| painted frames a second of processor time | frames/s | by pyqtgraph's |\n|---|---:|---:|")
    print(f"| the chart: raw and smoothed, everything | {one:.0f} | {one / theirs:.1f} |")
    print(f"| the chart: the last tenth, followed | {other:.0f} | {other / theirs:.1f} |")
    print(f"| pyqtgraph: raw only, its own downsampling | {theirs:.0f} | 1.0 |")


if __name__ == "__main__":
    main()
