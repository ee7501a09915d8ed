"""What a chart says while it has nothing to draw: loading, nothing yet, or why not and what to do."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from engine.contract.errors import ErrorBody
from forge_desktop.theme.controls import button, column, label, row
from forge_desktop.theme.language import explain, sentences, tr
from forge_desktop.theme.look import tokens

GRID_LINES = 4


class ChartNotice(QWidget):
    """Lies over a chart; hidden while there are curves."""

    retry = Signal()

    def __init__(self, chart: QWidget) -> None:
        super().__init__(chart)
        self.state = ""
        self.title = label("", "card-title", wrap=True)
        self.text = label("", "hint", wrap=True)
        for one in (self.title, self.text):
            one.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.again = button(tr("Try again"), "default", "refresh-cw", self.retry.emit, "chart.retry")
        self.setLayout(column(None, self.title, self.text, spacing=6, margins=(24, 8, 24, 8)))
        inner = self.layout()
        inner.addLayout(row(None, self.again, None))  # type: ignore[union-attr]
        inner.addStretch(1)  # type: ignore[union-attr]
        chart.installEventFilter(self)
        self.say("loading", None)

    def say(self, state: str, error: ErrorBody | None) -> None:
        """loading, empty, failed; anything else: go away."""
        if state == self.state and state != "failed":
            return
        self.state = state
        what, why, fix = explain(error) if error is not None else (tr("The curves could not be loaded."), "", "")
        title, text = {
            "loading": (tr("Loading the curves"), ""),
            "empty": (tr("No points yet"), tr("The first appear when the worker reports its first steps.")),
            "none": (tr("No points"), tr("The run ended before it measured this.")),
            "failed": (what, sentences(why, fix)),
        }.get(state, ("", ""))
        self.title.setText(title)
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.again.setVisible(state == "failed")
        self.setAccessibleName(sentences(title, text))
        self.setVisible(bool(title))
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: as large as the chart."""
        if event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.setGeometry(watched.rect())
        return False

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook: the grid to come, and while it loads the shadow of a curve."""
        t = tokens()
        painter = QPainter(self)
        painter.setPen(QPen(QColor(t.hover), 1))
        box = self.rect().adjusted(44, 16, -16, -28)
        for place in range(GRID_LINES):
            y = box.top() + place * box.height() // (GRID_LINES - 1)
            painter.drawLine(box.left(), y, box.right(), y)
        if self.state == "loading":
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(t.hover), 6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            heights = [(place / 60, 0.85 - 0.75 * math.exp(-place / 15)) for place in range(61)]
            spots = [QPointF(box.left() + x * box.width(), box.top() + y * box.height()) for x, y in heights]
            painter.drawPolyline(QPolygonF(spots))
        painter.end()
