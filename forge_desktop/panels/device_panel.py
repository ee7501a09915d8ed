"""Readings of the devices a run uses: tiles for each GPU, or for processor and memory, with the last two minutes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QGridLayout, QWidget

from engine.contract.states import LIVE
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.sparkline import Sparkline
from forge_desktop.theme.controls import Card, Elided, column, label, row
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import duration, size

SECONDS_SHOWN = 120
STALE_S = 10.0
"""A live run that reports nothing for so long is said to be silent."""


@dataclass(frozen=True)
class Reading:
    """How one tile reads its value: `corner` is what stands at its right, `limit` the metric it is measured against."""

    title: str
    metric: str
    form: str
    limit: str = ""
    top: float | None = None
    corner: str = "limit"


GPU = (
    Reading("Utilisation", "utilisation", "percent", top=100, corner="average"),
    Reading("GPU memory", "memory_used", "bytes", limit="memory_total"),
    Reading("Temperature", "temperature", "celsius", corner="highest"),
    Reading("Power", "power", "watt", limit="power_limit"),
)
"""Of each GPU; the metrics stand behind its key."""
PROCESSOR = (
    Reading("Processor", "cpu.utilisation", "percent", top=100, corner="average"),
    Reading("Worker CPU", "cpu.process", "percent", corner="average"),
    Reading("Memory in use", "ram.used", "bytes", limit="ram.total"),
    Reading("Worker RAM", "ram.process", "bytes", corner="highest"),
)


def written(form: str, value: float | None) -> str:
    """A reading with its unit."""
    if value is None:
        return "—"
    if form == "bytes":
        return size(value)
    return {"percent": f"{value:.0f}%", "celsius": f"{value:.0f} °C", "watt": f"{value:.0f} W"}[form]


def number_of(key: str) -> int:
    """`gpu12` → 12."""
    digits = key.removeprefix("gpu")
    return int(digits) if digits.isdigit() else 0


class DevicePanel(QWidget):
    """A group of tiles for each GPU; for processor and memory where there is none, and it says so."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self.setObjectName("run.devices")
        self._model = model
        self._gpus: set[str] = set()
        self._groups: dict[str, _Group] = {}
        self._seen = False
        self._note = label("", "hint", wrap=True)
        self._note.setObjectName("run.devices.note")
        self._list = column(spacing=14)
        layout = column(spacing=8)
        layout.addLayout(self._list)
        layout.addWidget(self._note)
        self.setLayout(layout)
        model.points_changed.connect(self._points_changed)
        model.changed.connect(self._run_changed)
        self._tick = QTimer(self, interval=5000)
        self._tick.timeout.connect(self._run_changed)
        self._tick.start()
        self._arrange()
        self._run_changed()

    @Slot()
    def _run_changed(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        found = {key for key, name in detail.device_names.items() if key.startswith("gpu") and name}
        if found - self._gpus:
            self._gpus |= found
            self._arrange()
        for key, group in self._groups.items():
            group.say(detail.device_names.get(key, ""), self._live_text())
        self._say()

    @Slot(object)
    def _points_changed(self, metrics: set[str]) -> None:
        gpus = {metric.partition(".")[0] for metric in metrics if metric.startswith("gpu")}
        if not gpus and not any(metric.startswith(("cpu.", "ram.")) for metric in metrics):
            return
        first = not self._seen or bool(gpus - self._gpus)
        self._seen = True
        if gpus - self._gpus:
            self._gpus |= gpus
            self._arrange()
        for group in self._groups.values():
            group.refresh()
        if first:
            self._run_changed()

    def _arrange(self) -> None:
        wanted = sorted(self._gpus, key=number_of) or ["cpu"]
        if list(self._groups) == wanted:
            return
        for group in self._groups.values():
            self._list.removeWidget(group)
            group.deleteLater()
        several = len(wanted) > 1
        self._groups = {key: _Group(self._model, key, several) for key in wanted}
        for group in self._groups.values():
            self._list.addWidget(group)
            group.refresh()

    def _live_text(self) -> str:
        detail = self._model.detail
        last = self._last_reading()
        if detail is None or last is None:
            return ""
        if detail.run.state not in LIVE:
            return tr("last readings")
        silent = time.time() - last
        return tr("live · 1 s") if silent < STALE_S or silent > 86400 * 30 else tr("silent for {time}",
                                                                                   time=duration(silent))  # fmt: skip

    def _last_reading(self) -> float | None:
        names = [f"{key}.utilisation" for key in sorted(self._gpus)] or ["cpu.utilisation"]
        times = [float(curve.t[-1]) for curve in map(self._model.curve, names) if len(curve)]
        return max(times, default=None)

    def _say(self) -> None:
        detail = self._model.detail
        if self._last_reading() is None:
            ended = detail is not None and detail.run.state.ended
            text = tr("No readings were taken.") if ended else tr("Readings appear once the worker runs.")
        else:
            text = "" if self._gpus else tr("No GPU here: the run uses the processor.")
        self._note.setText(text)
        self._note.setVisible(bool(text))


class _Group(QWidget):
    """The tiles of one device under its name."""

    def __init__(self, model: RunModel, key: str, numbered: bool) -> None:
        super().__init__()
        self.setObjectName(f"run.device.{key}")
        self._key, self._numbered = key, numbered
        self._title = Elided(tr("Devices"), "card-title")
        self._live = label("", "hint")
        t = tokens()
        colours = (t.series[0], t.series[3], t.series[2], t.series[1])
        readings, front = (PROCESSOR, "") if key == "cpu" else (GPU, f"{key}.")
        grid = QGridLayout()
        grid.setSpacing(12)
        self._tiles = [_Tile(model, r, front, colour) for r, colour in zip(readings, colours, strict=True)]
        for place, tile in enumerate(self._tiles):
            grid.addWidget(tile, place // 2, place % 2)
        layout = column(spacing=10)
        head = row(self._title, self._live, spacing=8)
        head.setStretch(0, 1)
        layout.addLayout(head)
        layout.addLayout(grid)
        self.setLayout(layout)

    def say(self, name: str, live: str) -> None:
        """Its name, and how fresh the readings are."""
        if self._key != "cpu":
            number = f"GPU {number_of(self._key)}"
            name = f"{number} · {name}" if name else number
        self._title.set_text(name or tr("Devices"))
        self._live.setText(live)

    def refresh(self) -> None:
        """Show the newest readings."""
        for tile in self._tiles:
            tile.refresh()


class _Tile(Card):
    def __init__(self, model: RunModel, reading: Reading, front: str, colour: str) -> None:
        super().__init__(margins=(14, 10, 14, 8))
        self.body.setSpacing(2)
        self._model, self._reading, self._front = model, reading, front
        self._corner = label("", "hint")
        self._value = label("—", "title")
        self._spark = Sparkline(colour, low=0, high=reading.top)
        head = row(Elided(tr(reading.title), "label"), self._corner, spacing=6)
        head.setStretch(0, 1)
        self.body.addLayout(head)
        self.body.addWidget(self._value)
        self.body.addWidget(self._spark)

    def refresh(self) -> None:
        """Show the newest reading."""
        reading = self._reading
        curve = self._model.curve(self._front + reading.metric)
        self._value.setText(written(reading.form, curve.last()))
        recent = curve.value[-SECONDS_SHOWN:]
        self._spark.set_values(recent.tolist())
        finite = recent[np.isfinite(recent)]
        corner = ""
        if reading.limit:
            limit = self._model.curve(self._front + reading.limit).last()
            corner = "" if limit is None else tr("of {limit}", limit=written(reading.form, limit).replace(".0 ", " "))
        elif len(finite):
            form = reading.form
            corner = (
                tr("avg {value}", value=written(form, float(finite.mean())))
                if reading.corner == "average"
                else tr("max {value}", value=written(form, float(finite.max())))
            )
        self._corner.setText(corner)
        self.setAccessibleName(f"{tr(reading.title)}: {self._value.text()} {corner}".strip())
        self.setToolTip(tr("The last two minutes"))
