"""Every GPU as a line of coloured cells over time: what was busy, what was warm, what stood idle."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from forge_desktop.models.chart_ticks import moment_ticks
from forge_desktop.models.node_figures import Metric
from forge_desktop.models.node_words import title_of
from forge_desktop.models.nodes_history import Line
from forge_desktop.panels.chart_series import mixed
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.spoken import speak_as

CELLS = 60
ROW, GAP = 24, 3
NAME_WIDTH, VALUE_WIDTH, FOOT = 168, 60, 26
COLD, WARM = 30.0, 90.0
"""°C at which a cell is palest and strongest."""
Rows = dict[tuple[str, str], Line]


def strength(metric: Metric, value: float) -> float:
    """How strong a cell's colour is: a share of one."""
    share = (value - COLD) / (WARM - COLD) if metric == "temperature" else value / 100
    return min(1.0, max(0.0, share))


def cells_of(line: Line, since: float, until: float, cells: int = CELLS) -> list[float | None]:
    """The mean of each piece of time; None where nothing was said."""
    sums, numbers = [0.0] * cells, [0] * cells
    for t, value in line:
        place = int((t - since) / ((until - since) or 1.0) * cells)
        if 0 <= place < cells or t == until:
            sums[min(place, cells - 1)] += value
            numbers[min(place, cells - 1)] += 1
    return [total / number if number else None for total, number in zip(sums, numbers, strict=True)]


class NodesHeat(QWidget):
    """Paints rows of cells; the figure of now stands at the right of each."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nodes.heat")
        speak_as(self, "chart")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._rows: list[tuple[str, list[float | None], float | None]] = []
        self._limits: list[float] = []
        self._metric: Metric = "utilisation"
        self._span = (0.0, 1.0)

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(600, max(1, len(self._rows)) * (ROW + GAP) + FOOT)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(320, self.sizeHint().height())

    def show_rows(self, rows: Rows, metric: Metric, span: tuple[float, float], hot_at: Callable[[str], float]) -> None:
        """Show what each GPU was like between two moments; `hot_at`: °C at which those of a node are hot."""
        self._metric, self._span = metric, span
        self._limits = [hot_at(node) for node, _device in rows]
        self._rows = [
            (_name(node, device), cells_of(line, *span), line[-1][1] if line else None)
            for (node, device), line in rows.items()
        ]
        said = [f"{name} {self._text(now)}" for name, _cells, now in self._rows]
        self.setAccessibleName(labelled(word("node_metric", metric), ", ".join(said)))
        self.updateGeometry()
        self.update()

    def names(self) -> list[str]:
        """The rows shown."""
        return [name for name, _cells, _now in self._rows]

    def _text(self, value: float | None) -> str:
        if value is None:
            return "—"
        return f"{value:.0f} °C" if self._metric == "temperature" else f"{value:.0f}%"

    def _colour(self, value: float | None, limit: float) -> QColor:
        t = tokens()
        if value is None:
            return QColor(t.surface2)
        if self._metric == "temperature" and value >= limit:
            return QColor(t.bad_fill)
        ink = t.series[1] if self._metric == "temperature" else t.series[0]
        return mixed(ink, t.surface2, 0.08 + 0.92 * strength(self._metric, value))

    def _cell(self, row: int, place: int) -> QRectF:
        room = max(60, self.width() - NAME_WIDTH - VALUE_WIDTH)
        wide = room / CELLS
        return QRectF(NAME_WIDTH + place * wide, row * (ROW + GAP), wide - 1, ROW)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        t, painter = tokens(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = self.font()
        font.setPixelSize(12)
        painter.setFont(font)
        left = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        for row, (name, cells, now) in enumerate(self._rows):
            y = row * (ROW + GAP)
            painter.setPen(QColor(t.secondary))
            shown = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, NAME_WIDTH - 12)
            painter.drawText(QRectF(0, y, NAME_WIDTH - 12, ROW), left, shown)
            warm = self._metric == "temperature" and now is not None and now >= self._limits[row]
            painter.setPen(QColor(t.bad_text if warm else t.text))
            painter.drawText(QRectF(self.width() - VALUE_WIDTH, y, VALUE_WIDTH, ROW), right, self._text(now))
            painter.setPen(Qt.PenStyle.NoPen)
            for place, value in enumerate(cells):
                painter.setBrush(self._colour(value, self._limits[row]))
                painter.drawRoundedRect(self._cell(row, place), 2, 2)
        self._paint_times(painter)
        painter.end()

    def _paint_times(self, painter: QPainter) -> None:
        begin, end = self._span
        font = self.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(tokens().muted))
        y = len(self._rows) * (ROW + GAP) + 4
        room = self.width() - NAME_WIDTH - VALUE_WIDTH
        for moment, text in moment_ticks(begin, end, max(3, room // 130)):
            x = NAME_WIDTH + (moment - begin) / ((end - begin) or 1.0) * room
            if NAME_WIDTH + 16 <= x <= self.width() - VALUE_WIDTH - 16:
                painter.drawText(QRectF(x - 30, y, 60, 16), int(Qt.AlignmentFlag.AlignCenter), text)

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: the figure of a cell as its tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.text_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def text_at(self, at: QPointF) -> str:
        """What a cell says."""
        row = int(at.y() // (ROW + GAP))
        room = max(60, self.width() - NAME_WIDTH - VALUE_WIDTH)
        place = int((at.x() - NAME_WIDTH) / room * CELLS)
        if not (0 <= row < len(self._rows) and 0 <= place < CELLS):
            return ""
        name, cells, _now = self._rows[row]
        begin, end = self._span
        moment = begin + (place + 0.5) / CELLS * (end - begin)
        return f"{name}\n{time.strftime('%H:%M', time.localtime(moment))}  {self._text(cells[place])}"


def _name(node: str, device: str) -> str:
    if device == "cpu":
        return title_of(node)
    return f"{title_of(node)} · {tr('GPU {n}', n=device.removeprefix('gpu'))}"
