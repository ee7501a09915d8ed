"""A strip above a page: something to know, why, and what to do about it."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QPushButton

from forge_desktop.theme import icons
from forge_desktop.theme.controls import column, label, restyle, row
from forge_desktop.theme.look import tokens


class Strip(QFrame):
    """Hidden until there is something to say. Tones: info, warn, bad."""

    def __init__(self, name: str, icon: str, tone: str, *buttons: QPushButton) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setProperty("role", "banner")
        restyle(self, tone=tone)
        t = tokens()
        picture = label()
        ink = {"bad": t.bad_text, "warn": t.warn_text}.get(tone, t.info_text)
        picture.setPixmap(icons.pixmap(icon, ink, 18))
        self._what = label("", "strong", wrap=True, select=True)
        self._more = label("", wrap=True, select=True)
        layout = row(picture, spacing=14, margins=(16, 10, 12, 10))
        layout.addLayout(column(self._what, self._more, spacing=2), 1)
        for made in buttons:
            layout.addWidget(made)
        self.setLayout(layout)
        self.hide()

    def say(self, what: str, more: str = "") -> None:
        """Say it; nothing hides the strip."""
        self._what.setText(what)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self.setAccessibleName(what)
        self.setVisible(bool(what))

    def text(self) -> str:
        """What it says."""
        return "" if self.isHidden() else self._what.text()

    def more(self) -> str:
        """The rest of it."""
        return self._more.text()
