"""The numbered circle before a step's name: where one is, what is done, what is open."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

from forge_desktop.theme import icons
from forge_desktop.theme.look import tokens, ui_font

SIZE = 22


def step_icon(number: int, state: str, ratio: float) -> QIcon:
    """States: now, done, open."""
    t = tokens()
    ground = {"now": t.accent, "done": t.ok_soft}.get(state, t.surface)
    image = QPixmap(round(SIZE * ratio), round(SIZE * ratio))
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(ground))
    painter.setPen(QPen(QColor(t.border_strong), 1.4) if state == "open" else Qt.PenStyle.NoPen)
    painter.drawEllipse(QRectF(1, 1, SIZE - 2, SIZE - 2))
    if state == "done":
        painter.drawPixmap((SIZE - 14) // 2, (SIZE - 14) // 2, icons.pixmap("check", t.ok_text, 14))
    else:
        painter.setFont(ui_font(12, 600))
        painter.setPen(QColor(t.on_accent if state == "now" else t.secondary))
        painter.drawText(QRectF(0, 0, SIZE, SIZE), int(Qt.AlignmentFlag.AlignCenter), str(number))
    painter.end()
    return QIcon(image)
