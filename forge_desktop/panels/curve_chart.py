"""The chart of curves: raw faint, smoothed strong, measured seldom as dots; for one run or for many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAccessible, QAccessibleEvent, QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.contract.errors import ErrorBody
from forge_desktop.models.chart_ticks import span_text
from forge_desktop.panels.chart_frame import Drawn, Frame, draw_series, lifted, sane, ticks_of, value_range
from forge_desktop.panels.chart_hands import ChartHands
from forge_desktop.panels.chart_notice import ChartNotice
from forge_desktop.panels.chart_paint import axis_width, paint_frame, paint_tips
from forge_desktop.panels.chart_series import ChartLink, ChartMark, ChartSeries, ChartSwitches, Range
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import count_of, figure, moment

REDRAW_MS = 30
MARGIN_TOP, MARGIN_RIGHT, MARGIN_BOTTOM = 12, 16, 28
AIR = 0.02
"""Share of the width that stays free on either side."""
MARK_REACH_PX = 9
LABELS = 10


class CurveChart(ChartHands):
    """Draws named series along one x; it is handed curves and keeps no points.

    For one run or many::

        chart = CurveChart()
        chart.set_series([
            ChartSeries(run.name, CurveSource(curve, "relative", origin=begin, tokens=seen), colour=n, dash=n)
            for n, (run, curve, begin, seen) in enumerate(runs)
        ])
        chart.set_switches(ChartSwitches(axis="relative", smoothing=0.98))

    - `CurveSource` aligns a curve on step, wall time, time since its `origin`, or tokens seen; `switches.axis` says
      which, for all of them. Put the run's start in as its origin.
    - `colour` and `dash` each repeat, after six and four: the same number for both tells twelve lines apart,
      neighbours also without colour; each has its label at its end and in `ChartLegend`.
    - `touch()` after curves grew; `set_link()` shares crosshair and zoom with other charts;
      `notice` says loading, empty, failed.
    - `range_changed` says which piece of x is seen, so that long curves can be fetched finer there.
    """

    range_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.series: list[ChartSeries] = []
        self.switches = ChartSwitches()
        self._end: float | None = None
        self._marks: list[ChartMark] = []
        self._picture: QPixmap | None = None
        self._key: object = None
        self._frame: Frame | None = None
        self._seen: Range | None = None
        self._left = 48
        self.notice = ChartNotice(self)
        self._soon = QTimer(self, singleShot=True, interval=REDRAW_MS)
        self._soon.timeout.connect(self._redraw)
        self._is_due = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(180, 120)
        self.setAccessibleName(tr("Chart"))
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent, False)
        self.set_link(self.link)

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(600, 230)

    def set_link(self, link: ChartLink) -> None:
        """Share crosshair and zoom with other charts."""
        if link is not self.link:
            self.link.moved.disconnect(self._pointed)
            self.link.zoomed.disconnect(self.update)
        self.link = link
        link.moved.connect(self._pointed)
        link.zoomed.connect(self.update)
        self.update()

    def set_series(self, series: Sequence[ChartSeries], name: str = "") -> None:
        """Draw other series from now on."""
        self.series = list(series)
        if name:
            self.setAccessibleName(name)
        for one in self.series:
            one.source.set_axis(self.switches.axis)
        self._key = None
        self.update()

    def set_switches(self, switches: ChartSwitches) -> None:
        """Show them another way: smoothing, scale, window, axis."""
        if switches.axis != self.switches.axis:
            for one in self.series:
                one.source.set_axis(switches.axis)
        if switches.log != self.switches.log:
            self.y_zoom = None
        self.switches = switches
        self._key = None
        self.update()

    def set_end(self, step: float | None) -> None:
        """The last step there will be, so that the chart shows how far it is."""
        if step != self._end:
            self._end = step
            self.touch()

    def set_marks(self, marks: Sequence[ChartMark]) -> None:
        """Attempts, checkpoints and the like, by step."""
        if list(marks) != self._marks:
            self._marks = list(marks)
            self.touch()

    def touch(self) -> None:
        """There are new points: redraw at once after a rest, else soon."""
        if self._soon.isActive():
            self._is_due = True
        else:
            self._soon.start()
            self.update()

    @Slot()
    def _redraw(self) -> None:
        if self._is_due:
            self._is_due = False
            self._soon.start()
            self.update()

    def points_shown(self) -> int:
        """How many points of the first raw curve are drawn now."""
        drawn = self.frame().drawn
        return len(drawn[0].raw[0]) if drawn else 0

    def points_overwritten(self) -> int:
        """How many points of the first series are drawn faint because a later attempt took their place."""
        return sum(int(np.isfinite(line[1]).sum()) for one in self.frame().drawn[:1] for line in one.lost)

    def happened(self, kind: str) -> list[tuple[float, str]]:
        """Marks of a kind: step and text."""
        return [(mark.step, mark.text) for mark in self._marks if mark.kind == kind]

    def marks(self) -> list[tuple[float, str]]:
        """Where attempts begin after the first, and what the marks say."""
        return [(mark.step, mark.text) for mark in self._marks if mark.kind == "attempt"]

    def has_points(self) -> bool:
        """Anything to draw."""
        return any(one.source.extent() is not None for one in self.series)

    def everything(self) -> Range:
        """The whole of x: every series, and steps to come."""
        extents = [found for one in self.series if (found := one.source.extent()) is not None]
        low = min((low for low, _ in extents), default=0.0)
        high = max((high for _, high in extents), default=1.0)
        if self.switches.axis == "step" and self._end:
            low, high = min(0.0, low), max(self._end, high)
        return sane(low, high)

    def seen(self) -> tuple[Range, Range]:
        """What is seen of x and of values."""
        frame = self.frame()
        return frame.x, frame.y

    def plot_area(self) -> QRectF:
        """Where the lines are."""
        return self.frame().plot

    def x_at(self, pixel: float) -> float:
        """x under a pixel."""
        return self.frame().at(pixel)

    def point_near(self, x: float) -> float | None:
        """The nearest point of the first series, or of another that is nearer."""
        found = [near[0] for one in self.series if (near := one.source.near(x)) is not None]
        return min(found, key=lambda place: abs(place - x)) if found else None

    def point_beside(self, x: float, direction: int) -> float | None:
        """The next point a pixel or more away."""
        frame = self.frame()
        pixel = 0.999 * (frame.x[1] - frame.x[0]) / max(1.0, frame.plot.width())
        places = [one.source.beside(x + direction * pixel, direction) for one in self.series]
        known = [place for place in places if place is not None]
        return (min(known) if direction > 0 else max(known)) if known else None

    def readout(self, x: float) -> list[tuple[ChartSeries, float, float, float | None]]:
        """Each series at an x: the point next to it, its value, and the smoothed one where that is another."""
        said = []
        for one in self.frame().drawn:
            near = one.series.source.near(x)
            if near is None or not self._is_close(near[0], x, one):
                continue
            smooth = None
            if one.strong is not one.raw and len(one.strong[0]):
                place = min(int(np.searchsorted(one.strong[0], near[0])), len(one.strong[0]) - 1)
                smooth = lifted(self.frame(), float(one.strong[1][place]))
            said.append((one.series, *near, smooth))
        return said

    def x_text(self, x: float) -> str:
        """What an x is called."""
        match self.switches.axis:
            case "relative" | "worked":
                return span_text(x)
            case "time":
                return moment(x)
            case "tokens_seen":
                return tr("{count} tokens", count=count_of(x))
            case _:
                return tr("step {step}", step=f"{x:,.0f}")

    def cross_text(self) -> str:
        """What the crosshair says, in one line."""
        if self.link.x is None:
            return ""
        parts = [
            labelled(one.label, _values(value, smooth)) for one, _place, value, smooth in self.readout(self.link.x)
        ]
        return " · ".join([self.x_text(self.link.x), *parts, *self._mark_texts(self.link.x)])

    def frame(self) -> Frame:
        """What is drawn, computed again if anything changed."""
        x = self._x_range()
        key = (
            self.size(), x, self.y_zoom, astuple(self.switches), tokens().name, len(self._marks),
            tuple((id(one), one.source.stamp) for one in self.series),
        )  # fmt: skip
        if self._frame is None or key != self._key:
            self._key, self._picture = key, None
            self._frame = self.made_frame(QRectF(self.rect()), x)
            if x != self._seen:
                self._seen = x
                self.range_changed.emit()
        return self._frame

    def made_frame(self, area: QRectF, x: Range) -> Frame:
        """The numbers of a picture of any size."""
        frame = self._laid_out(area, x, self._left)
        needed = 8 * math.ceil(max(40.0, axis_width(frame)) / 8)
        if needed != self._left:
            self._left = needed
            frame = self._laid_out(area, x, needed)
        return frame

    def _laid_out(self, area: QRectF, x: Range, left: int) -> Frame:
        """Columns of the picture are whole pixels, so that none stays empty between two."""
        plot = area.adjusted(left, MARGIN_TOP, -MARGIN_RIGHT, -MARGIN_BOTTOM)
        columns = max(50, int(plot.width()))
        drawn = [draw_series(one, x, columns, self.switches) for one in self.series]
        y = self.y_zoom or value_range(drawn, x, self.switches.clip)
        frame = Frame(drawn, x, sane(*y), plot, self.switches.log)
        ticks_of(frame, self.switches.axis)
        return frame

    def paint_all(self, painter: QPainter, frame: Frame, exact: bool = False) -> None:
        """Everything but crosshair and focus."""
        paint_frame(painter, frame, self._placed_marks(), exact)
        paint_tips(painter, frame, self._tip_texts(frame))

    def paint_export(self, painter: QPainter) -> None:
        """The chart with true lines, for files."""
        self.paint_all(painter, self.made_frame(QRectF(self.rect()), self.frame().x), exact=True)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        if not self.notice.isVisible():
            frame = self.frame()
            if self._picture is None:
                self._picture = self._painted(frame)
            painter.drawPixmap(0, 0, self._picture)
            self._paint_cross(painter, frame)
            self._paint_box(painter)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(tokens().accent), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()

    def show_state(self, state: str, error: ErrorBody | None = None) -> None:
        """loading, failed, empty, or ready."""
        self.notice.say(state, error)
        self.update()

    def _painted(self, frame: Frame) -> QPixmap:
        ratio = self.devicePixelRatioF()
        made = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        made.setDevicePixelRatio(ratio)
        made.fill(QColor(tokens().surface))
        painter = QPainter(made)
        self.paint_all(painter, frame)
        painter.end()
        return made

    def _x_range(self) -> Range:
        if self.link.zoom is not None:
            return sane(*self.link.zoom)
        low, high = self.everything()
        last = max((found[1] for one in self.series if (found := one.source.extent()) is not None), default=high)
        switches = self.switches
        match switches.window:
            case "share":
                first = min((e[0] for one in self.series if (e := one.source.extent()) is not None), default=low)
                return _aired(sane(last - (last - first) / 10, last))
            case "last":
                return _aired(sane(max(self._before(last, switches.last), low), last))
            case "range" if len(switches.range) == 2:
                return sane(switches.range[0], switches.range[1])
            case _:
                return _aired((low, high))

    def _before(self, last: float, steps: float) -> float:
        """Where on the axis the piece of so many steps begins that ends at `last`."""
        if self.switches.axis == "step" or not self.series:
            return last - steps
        source = self.series[0].source
        newest = source.curve.x[-1] if len(source.curve) else 0.0
        found = source.at_step(float(newest) - steps)
        return last if found is None else found

    def _placed_marks(self) -> list[tuple[float, ChartMark]]:
        if not self.series:
            return []
        source = self.series[0].source
        placed = [(source.at_step(mark.step), mark) for mark in self._marks]
        return [(place, mark) for place, mark in placed if place is not None]

    def _mark_texts(self, x: float) -> list[str]:
        frame = self.frame()
        reach = MARK_REACH_PX * (frame.x[1] - frame.x[0]) / max(1.0, frame.plot.width())
        return [mark.text for place, mark in self._placed_marks() if abs(place - x) <= reach]

    def _tip_texts(self, frame: Frame) -> list[str]:
        lines = [one for one in frame.drawn if one.series.form == "line"]
        texts = []
        for one in frame.drawn:
            if one.tip is None or one.series.form != "line" or len(lines) > LABELS:
                texts.append("")
                continue
            value = figure(lifted(frame, one.tip[1]))
            if len(lines) > 1:
                texts.append(f"{_short(one.series.label)} {value}")
            else:
                texts.append(f"{self.x_text(one.tip[0])} · {value}")
        return texts

    def _is_close(self, place: float, x: float, one: Drawn) -> bool:
        """Of points measured seldom, only one that the crosshair is at; of others, any within the curve."""
        frame = self.frame()
        pixel = (frame.x[1] - frame.x[0]) / max(1.0, frame.plot.width())
        if one.series.form == "dots":
            return abs(place - x) <= MARK_REACH_PX * pixel
        extent = one.series.source.extent()
        return extent is not None and extent[0] - 3 * pixel <= x <= extent[1] + 3 * pixel

    @Slot()
    def _pointed(self) -> None:
        text = self.cross_text()
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)
            if QAccessible.isActive():
                QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))
        self.update()

    def _paint_cross(self, painter: QPainter, frame: Frame) -> None:
        x = self.link.x
        if x is None or not frame.x[0] <= x <= frame.x[1]:
            return
        t = tokens()
        at = float(frame.px(np.array(x)))
        painter.setPen(QPen(QColor(t.muted), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(at, frame.plot.top()), QPointF(at, frame.plot.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        said = self.readout(x)
        for one, place, value, smooth in said:
            number = value if smooth is None else smooth
            height = np.log10(number) if frame.log and number > 0 else number
            if np.isfinite(height) and frame.y[0] <= height <= frame.y[1]:
                painter.setPen(QPen(QColor(t.surface), 1.5))
                painter.setBrush(one.ink())
                spot = QPointF(float(frame.px(np.array(place))), float(frame.py(np.array(height))))
                painter.drawEllipse(spot, 4, 4)
        _paint_readout(
            painter, frame, at, self.x_text(x), [(one, _values(v, s)) for one, _p, v, s in said], self._mark_texts(x)
        )

    def _paint_box(self, painter: QPainter) -> None:
        if self.box is not None:
            ground = QColor(tokens().accent)
            ground.setAlpha(40)
            painter.setPen(QPen(QColor(tokens().accent), 1))
            painter.setBrush(ground)
            painter.drawRect(self.box)


def _paint_readout(
    painter: QPainter, frame: Frame, at: float, head: str, said: list[tuple[ChartSeries, str]], notes: list[str]
) -> None:
    """A small table beside the crosshair, on the side where there is room."""
    t, font, strong = tokens(), ui_font(12), ui_font(12, 600)
    plain, bold = QFontMetricsF(font), QFontMetricsF(strong)
    rows = [(one, plain.elidedText(one.label, Qt.TextElideMode.ElideMiddle, 150), text) for one, text in said]
    names = max((plain.horizontalAdvance(name) for _, name, _ in rows), default=0.0)
    values = max((bold.horizontalAdvance(text) for _, _, text in rows), default=0.0)
    texts = [head, *(plain.elidedText(note, Qt.TextElideMode.ElideRight, 260) for note in notes)]
    wide = max(32 + names + values, *(bold.horizontalAdvance(text) for text in texts)) + 20
    box = QRectF(at + 12, frame.plot.top() + 4, wide, 12 + 18 * (len(rows) + len(texts)))
    if box.right() > frame.plot.right():
        box.moveRight(max(at - 12, frame.plot.left() + wide))
    painter.setPen(QPen(QColor(t.border_strong), 1))
    painter.setBrush(QColor(t.surface2))
    painter.drawRoundedRect(box, 6, 6)
    left, middle = int(Qt.AlignmentFlag.AlignLeft), int(Qt.AlignmentFlag.AlignVCenter)
    line = QRectF(box.left() + 10, box.top() + 6, wide - 20, 18)
    for place, text in enumerate(texts[:1]):
        painter.setFont(strong)
        painter.setPen(QColor(t.text))
        painter.drawText(line.translated(0, 18 * place), left | middle, text)
    for place, (one, name, text) in enumerate(rows, 1):
        here = line.translated(0, 18 * place)
        painter.setPen(QPen(one.ink(), 2, one.line()))
        painter.drawLine(QPointF(here.left(), here.center().y()), QPointF(here.left() + 16, here.center().y()))
        painter.setFont(font)
        painter.setPen(QColor(t.secondary))
        painter.drawText(here.adjusted(22, 0, 0, 0), left | middle, name)
        painter.setFont(strong)
        painter.setPen(QColor(t.text))
        painter.drawText(here, int(Qt.AlignmentFlag.AlignRight) | middle, text)
    painter.setFont(font)
    painter.setPen(QColor(t.secondary))
    for place, text in enumerate(texts[1:], 1 + len(rows)):
        painter.drawText(line.translated(0, 18 * place), left | middle, text)


def _values(value: float, smooth: float | None) -> str:
    written = figure(value) if np.isfinite(value) else {True: "NaN"}.get(value != value, "∞" if value > 0 else "−∞")
    return written if smooth is None or not np.isfinite(smooth) else f"{figure(smooth)} ({written})"


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _aired(seen: Range) -> Range:
    air = AIR * (seen[1] - seen[0])
    return (seen[0] - air, seen[1] + air)
