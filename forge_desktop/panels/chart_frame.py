"""One picture of a chart in numbers: what of each series lies in the window, the scales, and the ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QRectF

from forge_desktop.bridge.points import Floats
from forge_desktop.models.chart_ticks import Tick, log_ticks, moment_ticks, plain_ticks, span_ticks
from forge_desktop.models.series_view import gaps, outline
from forge_desktop.panels.chart_series import ChartSeries, ChartSwitches, Range

AIR = 0.06
"""Share of the height that stays free above and below."""
CLIP = (1.0, 99.0)
"""Percentiles within which values stay when outliers are clipped."""
TICK_X, TICK_Y = 110, 40
"""Pixels between ticks, about."""
PAUSE, MANY = 0.03, 20
"""A line along time breaks where points are so far apart: in shares of the window, and in usual distances."""
Line = tuple[Floats, Floats]


@dataclass
class Drawn:
    """One series within the window; values are exponents on a logarithmic scale."""

    series: ChartSeries
    raw: Line
    strong: Line
    lost: list[Line] = field(default_factory=list)
    gaps: Floats = field(default_factory=lambda: np.empty(0))
    below: Floats = field(default_factory=lambda: np.empty(0))
    """x of values that have no place on a logarithmic scale."""
    tip: tuple[float, float] | None = None
    """The last point of the strong line."""


@dataclass
class Frame:
    """All series, and how data lie in a rectangle."""

    drawn: list[Drawn]
    x: Range
    y: Range
    plot: QRectF
    log: bool
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)

    def px(self, x: Floats) -> Floats:
        """Pixels of x."""
        return np.asarray(self.plot.left() + (x - self.x[0]) * (self.plot.width() / (self.x[1] - self.x[0])))

    def py(self, y: Floats) -> Floats:
        """Pixels of values, kept near the rectangle: a painter loses its way far outside."""
        with np.errstate(invalid="ignore", over="ignore"):
            share = (y - self.y[0]) / (self.y[1] - self.y[0])
            return np.asarray(self.plot.bottom() - np.clip(share, -2.0, 3.0) * self.plot.height())

    def at(self, pixel: float) -> float:
        """x under a pixel."""
        return self.x[0] + (pixel - self.plot.left()) * (self.x[1] - self.x[0]) / max(1.0, self.plot.width())

    def value_at(self, pixel: float) -> float:
        """The value, or its exponent, under a pixel."""
        return self.y[0] + (self.plot.bottom() - pixel) * (self.y[1] - self.y[0]) / max(1.0, self.plot.height())


def draw_series(series: ChartSeries, x: Range, columns: int, switches: ChartSwitches) -> Drawn:
    """What of a series lies between two x: about two points a column raw, one a column smoothed."""
    source = series.source
    buckets = source.view(x[0], x[1], 2 * columns)
    raw = outline(buckets, x, columns)
    below = np.empty(0)
    if switches.log:
        below = raw[0][np.isfinite(raw[1]) & (raw[1] <= 0)]
    smooth = series.smooth and series.form == "line" and switches.smoothing > 0
    strong = source.smooth(x[0], x[1], 2 * columns, switches.smoothing) if smooth else raw
    overwritten = source.lost(x[0], x[1], 2 * columns) if series.overwritten else []
    lost = [outline(part, x, columns) for part in overwritten]
    if switches.log:
        raw, strong, lost = _logged(raw, -np.inf), _logged(strong), [_logged(line) for line in lost]
        if not smooth:
            strong = raw
    if switches.axis in ("relative", "time"):
        raw, strong = _broken(raw, x), _broken(strong, x) if smooth else strong
        strong = strong if smooth else raw
    drawn = Drawn(series, raw, strong, lost, gaps(buckets), below)
    last = (buckets["x_last"][-1:], buckets["last"][-1:])
    end = _logged(last) if switches.log else last
    if smooth or not np.isfinite(end[1]).all():
        usable = np.flatnonzero(np.isfinite(strong[1]))
        end = strong[0][usable[-1:]], strong[1][usable[-1:]]
    if len(end[0]):
        drawn.tip = (float(end[0][0]), float(end[1][0]))
    return drawn


def _broken(line: Line, x: Range) -> Line:
    """Nothing is drawn where nothing was measured for long: a run that paused, attempts apart."""
    if len(line[0]) < MANY:
        return line
    apart = np.diff(line[0])
    far = np.flatnonzero((apart > PAUSE * (x[1] - x[0])) & (apart > MANY * np.median(apart)))
    if not len(far):
        return line
    return np.insert(line[0], far + 1, line[0][far]), np.insert(line[1], far + 1, np.nan)


def value_range(drawn: Sequence[Drawn], x: Range, clip: bool) -> Range:
    """Least and greatest value that is to be seen, with some air."""
    lows, highs = [], []
    for one in drawn:
        for line in (one.raw, *one.lost) if clip else (one.raw, one.strong, *one.lost):
            inside = (line[0] >= x[0]) & (line[0] <= x[1]) & np.isfinite(line[1])
            values = line[1][inside]
            if len(values):
                low, high = np.percentile(values, CLIP) if clip else (values.min(), values.max())
                lows.append(float(low))
                highs.append(float(high))
    if not lows:
        return (0.0, 1.0)
    low, high = min(lows), max(highs)
    if high - low < 1e-12 * max(1e-300, abs(high), abs(low)) or high == low:
        spare = abs(high) * 0.1 or 1.0
        return (low - spare, high + spare)
    air = AIR * (high - low)
    return (low - air, high + air)


def ticks_of(frame: Frame, axis: str) -> None:
    """Put in the ticks."""
    across, up = max(2, int(frame.plot.width() / TICK_X)), max(2, int(frame.plot.height() / TICK_Y))
    make = {"relative": span_ticks, "worked": span_ticks, "time": moment_ticks}.get(axis, plain_ticks)
    frame.x_ticks = make(*frame.x, across)
    frame.y_ticks = (log_ticks if frame.log else plain_ticks)(*frame.y, up)


def lifted(frame: Frame, value: float) -> float:
    """A value of the frame as the number it stands for."""
    return 10.0**value if frame.log and value < 300 else value


def sane(low: float, high: float) -> Range:
    """A range that can be divided by."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return (0.0, 1.0)
    if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
        return (low - 0.5, high + 0.5)
    return (low, high)


def _logged(line: Line, instead: float = np.nan) -> Line:
    """Exponents of ten; a value that has none goes to `instead`."""
    x, value = line
    with np.errstate(invalid="ignore", divide="ignore"):
        made = np.where(value > 0, np.log10(np.where(value > 0, value, 1.0)), instead)
    return x, np.where(np.isnan(value), np.nan, made)
