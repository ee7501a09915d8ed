"""How curves are shown: smoothing, scale, outliers, window and axis; folded away but for what is used most."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QStandardItemModel, QWheelEvent
from PySide6.QtWidgets import QFrame, QPushButton, QSlider, QWidget

from forge_desktop.models.chart_ticks import span_text
from forge_desktop.panels.chart_series import ChartSwitches
from forge_desktop.theme.controls import Choice, Field, button, column, label, restyle, row
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import tr

NOTCHES = 100
MOST_SMOOTHING = 0.999
MOMENT = "%Y-%m-%d %H:%M:%S"
SPANS = ("relative", "worked")
"""Axes of durations."""
LETTERS = 14
"""Of a closed list."""


class Slider(QSlider):
    """A slider that the mouse wheel leaves alone."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook."""
        event.ignore()


class ChartOptions(QWidget):
    """Two switches and a fold with the rest. It changes nothing itself: `changed` carries what is wanted."""

    changed = Signal(object)
    """ChartSwitches."""

    def __init__(self, switches: ChartSwitches, axis_here: bool = True) -> None:
        super().__init__()
        self.switches = switches
        self.log = self._toggle(tr("Log scale"), tr("Logarithmic scale"), "chart.log", switches.log)
        clipped = tr("Scale to the values between the 1st and 99th percentile")
        self.clip = self._toggle(tr("Clip outliers"), clipped, "chart.clip", switches.clip)
        self.fold = button(tr("Options"), "segment", "settings", name="chart.options")
        self.fold.setCheckable(True)
        self.log.toggled.connect(lambda on: self._say(log=on))
        self.clip.toggled.connect(lambda on: self._say(clip=on))
        self.more = QWidget()
        self.more.hide()
        self.fold.toggled.connect(self.more.setVisible)
        flow = FlowLayout(self.more, spacing=14)
        for part in (self._build_smoothing(), self._build_window()):
            flow.addWidget(part)
        axis = self._build_axis()
        if axis_here:
            flow.addWidget(axis)
        else:
            axis.setParent(self)  # chosen elsewhere; this widget itself is never seen
        self._window_changed()

    def bar(self) -> QWidget:
        """What stands beside the choice of the metric."""
        made = QFrame()
        made.setProperty("role", "segments")
        made.setLayout(row(self.log, self.clip, self.fold, spacing=2, margins=(3, 3, 3, 3)))
        return made

    def set_tokens_known(self, known: bool) -> None:
        """Whether the run says how many tokens it has seen."""
        items = self.axis.model()
        assert isinstance(items, QStandardItemModel)
        item = items.item(self.axis.findData("tokens_seen"))
        item.setEnabled(known)
        item.setToolTip("" if known else tr("This run does not report the tokens it has seen."))

    def _toggle(self, text: str, tip: str, name: str, on: bool) -> QPushButton:
        made = button(text, "segment", name=name, tip=tip)
        made.setCheckable(True)
        made.setChecked(on)
        return made

    def _build_smoothing(self) -> QWidget:
        self.slider = Slider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("chart.smoothing")
        self.slider.setAccessibleName(tr("Smoothing"))
        self.slider.setRange(0, NOTCHES)
        self.slider.setPageStep(10)
        self.slider.setFixedSize(130, 34)
        self.slider.setValue(notch_of(self.switches.smoothing))
        self._weight = label(weight_text(self.switches.smoothing), "label")
        self._weight.setMinimumWidth(38)
        self.slider.valueChanged.connect(self._smooth)
        return _group(tr("Smoothing"), self.slider, self._weight)

    def _smooth(self, notch: int) -> None:
        weight = weight_of(notch)
        self._weight.setText(weight_text(weight))
        self.slider.setAccessibleDescription(weight_text(weight))
        self._say(smoothing=weight)

    def _build_window(self) -> QWidget:
        self.window_choice = Choice(
            [
                ("all", tr("All")), ("share", tr("Last 10%")), ("last", tr("Last steps")), ("range", tr("From … to …")),
            ],
            self.switches.window,
        )  # fmt: skip
        self.window_choice.setObjectName("chart.window")
        self.window_choice.setMinimumContentsLength(LETTERS)
        self.window_choice.setAccessibleName(tr("Window"))
        self.last = Field(f"{self.switches.last:,.0f}", "1,000", "chart.window.last")
        self.last.setAccessibleName(tr("How many steps"))
        self.low, self.high = Field("", "", "chart.window.from"), Field("", "", "chart.window.to")
        self.low.setAccessibleName(tr("From"))
        self.high.setAccessibleName(tr("To"))
        for field in (self.last, self.low, self.high):
            field.setFixedWidth(96)
            field.editingFinished.connect(self._typed)
        self._put_range()
        self.window_choice.currentIndexChanged.connect(lambda _place: self._choose_window())
        self.wrong = label("", "hint", tone="bad")
        self.wrong.hide()
        made = _group(tr("Window"), self.window_choice, self.last, self.low, self.high)
        made.layout().addWidget(self.wrong)  # type: ignore[union-attr]
        return made

    def _choose_window(self) -> None:
        self._window_changed()
        self._say(window=self.window_choice.value())

    def _window_changed(self) -> None:
        window, wide = self.window_choice.value(), 150 if self.switches.axis == "time" else 96
        self.last.setVisible(window == "last")
        for field in (self.low, self.high):
            field.setVisible(window == "range")
            field.setFixedWidth(wide)
            field.setPlaceholderText(_example(self.switches.axis))
        self.more.updateGeometry()

    def _typed(self) -> None:
        """Take what was typed if it makes sense; else say so at the field."""
        if self.window_choice.value() == "last":
            steps = parsed(self.last.text(), "step")
            good = steps is not None and steps > 0
            self._mark((self.last, good))
            if good:
                self._say(last=steps)
            return
        low, high = (parsed(field.text(), self.switches.axis) for field in (self.low, self.high))
        in_order = low is None or high is None or high > low
        self._mark(
            (self.low, low is not None or not self.low.text()),
            (self.high, (high is not None and in_order) or not self.high.text()),
        )
        if low is not None and high is not None and in_order:
            self._say(range=[low, high])

    def _mark(self, *fields: tuple[Field, bool]) -> None:
        for field, good in fields:
            restyle(field, tone="" if good else "bad")
        typed = " ".join(field.text() for field, _ in fields)
        example = _example(self.switches.axis)
        if len(fields) > 1 and all(parsed(field.text(), self.switches.axis) is not None for field, _ in fields):
            text = tr("The second must be larger than the first.")
        else:
            text = tr("Type a number like {example}.", example=example)
        wrong = bool(typed.strip()) and not all(good for _, good in fields)
        self.wrong.setText(text if wrong else "")
        self.wrong.setVisible(wrong)
        self.more.updateGeometry()

    def _build_axis(self) -> QWidget:
        self.axis = Choice(
            [
                ("step", tr("Step")), ("relative", tr("Time since start")), ("time", tr("Time of day")),
                ("tokens_seen", tr("Tokens seen")),
            ],
            self.switches.axis,
        )  # fmt: skip
        self.axis.setObjectName("chart.axis")
        self.axis.setMinimumContentsLength(LETTERS)
        self.axis.setAccessibleName(tr("X axis"))
        self.axis.currentIndexChanged.connect(lambda _place: self._choose_axis())
        return _group(tr("X axis"), self.axis)

    def _choose_axis(self) -> None:
        self.set_axis(self.axis.value())

    def set_axis(self, axis: str) -> None:
        """Another axis; what was typed along the one before says nothing there."""
        self.low.clear()
        self.high.clear()
        self._say(axis=axis, range=[])
        self._window_changed()

    def _put_range(self) -> None:
        for field, value in zip((self.low, self.high), self.switches.range, strict=False):
            field.setText(written(value, self.switches.axis))

    def _say(self, **values: object) -> None:
        wanted = replace(self.switches, **values)  # type: ignore[arg-type]
        if wanted != self.switches:
            self.switches = wanted
            self.changed.emit(wanted)


def weight_of(notch: int) -> float:
    """Where the slider stands as a weight: fine near one, where it matters."""
    return 0.0 if notch <= 0 else min(MOST_SMOOTHING, round(1 - 10 ** (-3 * notch / NOTCHES), 4))


def notch_of(weight: float) -> int:
    """Where the slider stands for a weight."""
    return round(-NOTCHES / 3 * math.log10(1 - min(max(weight, 0.0), MOST_SMOOTHING)))


def weight_text(weight: float) -> str:
    """`0.90`, `0.995`; off for none."""
    if weight <= 0:
        return tr("Off")
    return f"{weight:.3f}" if weight >= 0.99 else f"{weight:.2f}"


def parsed(text: str, axis: str) -> float | None:
    """What somebody typed along an axis: `4,000`, `1:30:00`, `2026-03-01 12:00:00`."""
    text = text.strip()
    try:
        if axis == "time":
            return time.mktime(time.strptime(text, MOMENT))
        if axis in SPANS and ":" in text:
            parts = [float(part) for part in text.split(":")]
            return sum(part * 60**place for place, part in enumerate(reversed(parts))) if len(parts) <= 3 else None
        value = float(text.replace(",", "").replace("，", ""))
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def written(value: float, axis: str) -> str:
    """The same the other way round."""
    if axis == "time":
        return time.strftime(MOMENT, time.localtime(value))
    if axis in SPANS:
        return span_text(value) if value >= 60 else f"{value:g}"
    return f"{value:,.0f}"


def _example(axis: str) -> str:
    return {"time": "2026-03-01 12:00:00", "relative": "1:30:00", "worked": "1:30:00"}.get(axis, "4,000")


def _group(title: str, *parts: QWidget) -> QWidget:
    made = QWidget()
    made.setLayout(column(label(title, "label"), spacing=4))
    inner = made.layout()
    inner.addLayout(row(*parts, spacing=8))  # type: ignore[union-attr]
    return made
