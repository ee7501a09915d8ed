"""A forecast of memory: the sum, whether it fits, a bar of its parts, and each part by name."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from engine.contract.forecast import MemoryForecast
from forge_desktop.models import memory_words
from forge_desktop.theme.controls import Chip, column, label, row
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

COLUMNS = 2
BAR_HEIGHT, DOT, GAP = 14, 9, 2
COLOURS = {"weights": 0, "adapter": 1, "gradients": 2, "optimiser": 3, "activations": 4, "logits": 5}
"""Of the parts, as places among a theme's series; what is left is gray."""


def colour_of(part: str) -> str:
    """What a part is painted in."""
    t = tokens()
    return t.series[COLOURS[part] % len(t.series)] if part in COLOURS else t.muted


class PartsBar(QWidget):
    """Parts side by side, and what would stay free."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: Sequence[tuple[str, float]] = ()
        self.setFixedHeight(BAR_HEIGHT)
        self.setMinimumWidth(120)

    def set(self, parts: Sequence[tuple[str, float]], spoken: str) -> None:
        """Shares of the whole, in their order."""
        self._parts = parts
        self.setAccessibleName(spoken)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), 6, 6)
        painter.setClipPath(outline)
        painter.fillRect(self.rect(), QColor(tokens().hover))
        at = 0.0
        for part, share in self._parts:
            wide = share * self.width()
            painter.fillRect(QRectF(at, 0, max(1.0, wide - GAP), self.height()), QColor(colour_of(part)))
            at += wide
        painter.end()


class Dot(QWidget):
    """The colour of a part."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part
        self.setFixedSize(QSize(DOT, DOT))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(0, 0, 0, 0))
        painter.setBrush(QColor(colour_of(self._part)))
        painter.drawEllipse(self.rect())
        painter.end()


class MemoryView(QWidget):
    """Shows one forecast."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("wizard.memory")
        self._sum = label("", "title", select=True)
        self._sum.setObjectName("wizard.memory.sum")
        self._of = label("", "hint", select=True)
        self._chip = Chip()
        self._chip.setObjectName("wizard.memory.fit")
        self._bar = PartsBar()
        self._parts = QGridLayout()
        self._parts.setHorizontalSpacing(10)
        self._parts.setVerticalSpacing(6)
        self._basis = label("", "hint", wrap=True, select=True)
        self._basis.setObjectName("wizard.memory.basis")
        head = row(self._sum, self._of, None, self._chip, spacing=8)
        layout = column(label(tr("Memory at the fullest moment"), "label"), spacing=10)
        layout.addLayout(head)
        layout.addWidget(self._bar)
        layout.addLayout(self._parts)
        layout.addWidget(self._basis)
        self.setLayout(layout)
        self._shown: dict[str, int] = {}

    def show_forecast(self, found: MemoryForecast) -> None:
        """What is known of it."""
        self._sum.setText(memory_words.sum_text(found))
        self._of.setText(memory_words.of_text(found))
        text, tone, icon = memory_words.fit_chip(found)
        self._chip.set(text, tone, icon)
        self._chip.setVisible(bool(text))
        parts = {part: size for part, size in found.parts.items() if size}
        whole = max(found.capacity or 0, found.total) or 1
        self._bar.set([(part, size / whole) for part, size in parts.items()], memory_words.spoken(found))
        self._basis.setText(memory_words.basis_text(found))
        if parts != self._shown:
            self._shown = parts
            self._fill(found, parts)

    def _fill(self, found: MemoryForecast, parts: dict[str, int]) -> None:
        while (item := self._parts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for place, (part, size) in enumerate(parts.items()):
            line, side = divmod(place, COLUMNS)
            name, amount = label(memory_words.part_name(part, found.device)), label(memory_words.amount(size), "strong")
            for offset, widget in enumerate((Dot(part), name, amount)):
                self._parts.addWidget(widget, line, 4 * side + offset)
        self._parts.setColumnStretch(1, 1)
        self._parts.setColumnStretch(5, 1)
        self._parts.setColumnMinimumWidth(3, 18)
