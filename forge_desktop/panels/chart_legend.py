"""What the lines of a chart are: a stroke of each, in its colour and its form, and its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from forge_desktop.panels.chart_series import FAINT, GHOST, ChartSeries
from forge_desktop.theme.controls import label, row
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.look import tokens

Form = Literal["strong", "raw", "dots", "lost"]


@dataclass(frozen=True)
class LegendEntry:
    """One name and how its line looks."""

    text: str
    colour: int = 0
    dash: int = 0
    form: Form = "strong"


def entries_of(series: Sequence[ChartSeries]) -> list[LegendEntry]:
    """A chart of many series: each by its own line."""
    return [LegendEntry(s.label, s.colour, s.dash, "dots" if s.form == "dots" else "strong") for s in series]


class ChartLegend(QWidget):
    """Entries side by side, wrapping like words."""

    def __init__(self, entries: Sequence[LegendEntry] = ()) -> None:
        super().__init__()
        self._entries: list[LegendEntry] = []
        self._layout = FlowLayout(self, spacing=12)
        self.set_entries(entries)

    def set_entries(self, entries: Sequence[LegendEntry]) -> None:
        """Other lines."""
        if list(entries) == self._entries:
            return
        self._entries = list(entries)
        self._layout.clear()
        for entry in entries:
            made = QWidget()
            made.setLayout(row(_Stroke(entry), label(entry.text, "hint"), spacing=6))
            self._layout.addWidget(made)

    def texts(self) -> list[str]:
        """The names shown."""
        return [entry.text for entry in self._entries]


class _Stroke(QWidget):
    """A sample of a line."""

    def __init__(self, entry: LegendEntry) -> None:
        super().__init__()
        self._entry = entry
        self.setFixedSize(QSize(22, 14))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        entry = self._entry
        look = ChartSeries(entry.text, None, entry.colour, entry.dash)  # type: ignore[arg-type]  # only its ink
        ink = look.ink({"raw": FAINT, "lost": GHOST}.get(entry.form, 1.0))
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if entry.form == "dots":
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(0, 7), QPointF(22, 7))
            painter.setPen(QPen(QColor(tokens().surface), 1))
            painter.setBrush(ink)
            painter.drawEllipse(QPointF(11, 7), 4.5, 4.5)
        elif entry.form == "strong":
            painter.setPen(QPen(ink, 2.5, look.line()))
            painter.drawLine(QPointF(1, 7), QPointF(21, 7))
        else:  # what moves up and down
            painter.setPen(QPen(ink, 1.2, Qt.PenStyle.SolidLine))
            heights = (7, 3, 10, 5, 12, 4, 9, 6)
            painter.drawPolyline([QPointF(3 * place, y) for place, y in enumerate(heights)])
        painter.end()
