"""The strip above a page: no controller, an error, or good news."""

from __future__ import annotations

from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, label, restyle, row
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

SHORT = 360
"""A text of fewer pixels stays on one line."""
Policy = QSizePolicy.Policy


class Banner(QWidget):
    """Hidden until there is something to say."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("banner")
        self._frame = QFrame()
        self._frame.setProperty("role", "banner")
        self._icon = label()
        self._text = label("", "strong", wrap=True, select=True)
        self._more = label("", wrap=True, select=True)
        self._close = button(tr("Close"), "link", on_click=self.hide)
        layout = row(self._icon, self._text, self._more, self._close, spacing=10, margins=(12, 8, 12, 8))
        layout.setStretch(2, 1)
        self._frame.setLayout(layout)
        self.setLayout(row(self._frame, margins=(28, 12, 28, 0)))
        self.hide()

    def say(self, text: str, more: str, tone: str, icon: str, closable: bool = False) -> None:
        """Show a message."""
        t = tokens()
        colour = {"bad": t.bad_text, "warn": t.warn_text}.get(tone, t.info_text)
        self._icon.setPixmap(icons.pixmap(icon, colour, 18))
        short = QFontMetrics(self._text.font()).horizontalAdvance(text) < SHORT
        self._text.setWordWrap(not short)  # a wrapped text takes half the strip, a short one only what it needs
        self._text.setSizePolicy(Policy.Fixed if short else Policy.Expanding, Policy.Preferred)
        self._text.setText(text)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self._close.setVisible(closable)
        restyle(self._frame, tone=tone)
        self.show()

    def text(self) -> str:
        """What it says."""
        return self._text.text()
