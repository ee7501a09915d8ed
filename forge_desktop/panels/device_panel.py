"""Readings of the devices a run uses: a tile each for utilisation, memory, temperature, power, or processor and RAM."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QWidget

from engine.contract.states import LIVE
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.sparkline import Sparkline
from forge_desktop.theme.controls import Card, column, label, row
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import size

SECONDS_SHOWN = 120


@dataclass(frozen=True)
class Reading:
    """How one tile reads its value."""

    title: str
    metric: str
    form: str
    limit: str = ""
    top: float | None = None


GPU = (
    Reading("Utilisation", "gpu0.utilisation", "percent", top=100),
    Reading("GPU memory", "gpu0.memory_used", "bytes", limit="gpu0.memory_total"),
    Reading("Temperature", "gpu0.temperature", "celsius"),
    Reading("Power", "gpu0.power", "watt", limit="gpu0.power_limit"),
)
PROCESSOR = (
    Reading("Processor", "cpu.utilisation", "percent", top=100),
    Reading("Worker's share", "cpu.process", "percent"),
    Reading("Memory in use", "ram.used", "bytes", limit="ram.total"),
    Reading("Worker's memory", "ram.process", "bytes"),
)


def written(form: str, value: float | None) -> str:
    """A reading with its unit."""
    if value is None:
        return "—"
    if form == "bytes":
        return size(value)
    return {"percent": f"{value:.0f}%", "celsius": f"{value:.0f} °C", "watt": f"{value:.0f} W"}[form]


class DevicePanel(QWidget):
    """Tiles for the GPU if there is one, else for processor and memory, and says so."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self.setObjectName("run.devices")
        self._model = model
        self._title = label(tr("Devices"), "card-title")
        self._live = label("", "hint")
        self._note = label("", "hint", wrap=True)
        self._grid = QGridLayout()
        self._grid.setSpacing(12)
        self._tiles: list[_Tile] = []
        self._has_gpu: bool | None = None
        layout = column(spacing=10)
        layout.addLayout(row(self._title, None, self._live))
        layout.addLayout(self._grid)
        layout.addWidget(self._note)
        self.setLayout(layout)
        model.points_changed.connect(self._points_changed)
        model.changed.connect(self._run_changed)
        self._show_tiles(False)
        self._run_changed()

    @Slot()
    def _run_changed(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        name = detail.device_names.get("gpu0") or detail.device_names.get("cpu", "")
        self._title.setText(name or tr("Devices"))
        self._live.setText(tr("live · 1 s") if detail.run.state in LIVE else "")
        self._note_text()

    @Slot(object)
    def _points_changed(self, metrics: set[str]) -> None:
        if not any(metric.startswith(("gpu", "cpu.", "ram.")) for metric in metrics):
            return
        self._show_tiles(len(self._model.curve("gpu0.utilisation")) > 0)
        for tile in self._tiles:
            tile.refresh()
        self._note_text()

    def _note_text(self) -> None:
        known = len(self._model.curve("cpu.utilisation")) > 0
        if not known:
            text = tr("Readings appear once the worker runs.")
        elif self._has_gpu:
            text = ""
        else:
            text = tr("No GPU here: the run uses the processor.")
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def _show_tiles(self, has_gpu: bool) -> None:
        if has_gpu == self._has_gpu:
            return
        self._has_gpu = has_gpu
        for tile in self._tiles:
            self._grid.removeWidget(tile)
            tile.deleteLater()
        t = tokens()
        colours = (t.series[0], t.series[3], t.series[2], t.series[1])
        readings = GPU if has_gpu else PROCESSOR
        self._tiles = [_Tile(self._model, r, colour) for r, colour in zip(readings, colours, strict=True)]
        for place, tile in enumerate(self._tiles):
            self._grid.addWidget(tile, place // 2, place % 2)


class _Tile(Card):
    def __init__(self, model: RunModel, reading: Reading, colour: str) -> None:
        super().__init__(margins=(14, 10, 14, 8))
        self.body.setSpacing(2)
        self._model, self._reading = model, reading
        self._limit = label("", "hint")
        self._value = label("—", "title")
        self._spark = Sparkline(colour, low=0, high=reading.top)
        self.body.addLayout(row(label(tr(reading.title), "label"), None, self._limit))
        self.body.addWidget(self._value)
        self.body.addWidget(self._spark)

    def refresh(self) -> None:
        """Show the newest reading."""
        curve = self._model.curve(self._reading.metric)
        self._value.setText(written(self._reading.form, curve.last()))
        self.setAccessibleName(f"{tr(self._reading.title)}: {self._value.text()}")
        self._spark.set_values(curve.value[-SECONDS_SHOWN:].tolist())
        if self._reading.limit:
            limit = self._model.curve(self._reading.limit).last()
            self._limit.setText("" if limit is None else tr("of {limit}", limit=written(self._reading.form, limit)))
