"""Small instruments of a node's card: a ring for how busy it is, and bars with a name and a figure."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from forge_desktop.theme.controls import Bar, column, label, restyle, row
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import percent

SIZE, STROKE = 84, 8


class Ring(QWidget):
    """A share of one as an arc, its figure inside."""

    def __init__(self) -> None:
        super().__init__()
        self._share: float | None = None
        self._bad = False
        self.setFixedSize(QSize(SIZE, SIZE))
        self.set(None)

    def set(self, share: float | None, bad: bool = False) -> None:
        """Show a share; None: nothing is known."""
        self._share, self._bad = share, bad
        self.setAccessibleName(labelled(tr("Utilisation"), percent(share)))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        t = tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        half = STROKE / 2
        box = QRectF(self.rect()).adjusted(half + 1, half + 1, -half - 1, -half - 1)
        painter.setPen(QPen(QColor(t.hover), STROKE))
        painter.drawEllipse(box)
        if self._share is not None and self._share > 0:
            ink = QColor(t.bad_fill if self._bad else t.series[0])
            painter.setPen(QPen(ink, STROKE, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawArc(box, 90 * 16, -round(min(1.0, self._share) * 360 * 16))
        self._write(painter)
        painter.end()

    def _write(self, painter: QPainter) -> None:
        t, font = tokens(), self.font()
        font.setPixelSize(16)
        font.setWeight(font.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(t.text))
        middle = int(Qt.AlignmentFlag.AlignCenter)
        painter.drawText(QRectF(0, 22, SIZE, 22), middle, percent(self._share))
        font.setPixelSize(11)
        font.setWeight(font.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(t.secondary))
        painter.drawText(QRectF(10, 44, SIZE - 20, 16), middle, tr("busy"))


class Meter(QWidget):
    """A name, a figure, and a thin bar below them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = label(name, "label")
        self._text = label("—", "label")
        self._text.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._bar = Bar(4)
        layout = column(spacing=3)
        line = row(self._name, None, self._text, spacing=8)
        layout.addLayout(line)
        layout.addWidget(self._bar)
        self.setLayout(layout)

    def set(self, text: str, share: float | None, colour: str, tone: str = "") -> None:
        """Show a figure and its share of what there is."""
        self._text.setText(text)
        restyle(self._text, tone=tone)
        self._bar.set(share or 0.0, tokens().bad_fill if tone == "bad" else colour)
        self._bar.setAccessibleName(labelled(self._name.text(), text))

    def text(self) -> str:
        """The figure shown."""
        return self._text.text()
