"""Messages of the system for when the window is not looked at, where the system has a tray."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QObject, Signal, SignalInstance
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QSystemTrayIcon

from forge_desktop.models.notices import ALERT, FAILURE


class Messenger(Protocol):
    """Something outside the window that can show a message."""

    @property
    def clicked(self) -> SignalInstance:
        """Somebody clicked the message or the icon."""

    def available(self) -> bool:
        """Messages would be seen."""

    def say(self, title: str, text: str, kind: str) -> None:
        """Show a message."""

    def close(self) -> None:
        """Take down what was put up."""


class Tray(QObject):
    """The system's tray; its icon is there from the first message on."""

    clicked = Signal()

    def __init__(self, icon: QIcon, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._icon = icon
        self._tray: QSystemTrayIcon | None = None

    def available(self) -> bool:
        """The system has a tray that shows messages."""
        return QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()

    def say(self, title: str, text: str, kind: str) -> None:
        """Show a message."""
        if self._tray is None:
            self._tray = QSystemTrayIcon(self._icon, self)
            self._tray.setToolTip("LoRAForge Desktop")
            self._tray.messageClicked.connect(self.clicked)
            self._tray.activated.connect(lambda _reason: self.clicked.emit())
            self._tray.show()
        forms = QSystemTrayIcon.MessageIcon
        form = {FAILURE: forms.Critical, ALERT: forms.Warning}.get(kind, forms.Information)
        self._tray.showMessage(title, text, form)

    def close(self) -> None:
        """Take the icon down."""
        if self._tray is not None:
            self._tray.hide()


class RecordingTray(QObject):
    """A tray that keeps what it is told, for tests and pictures."""

    clicked = Signal()

    def __init__(self, there: bool = True) -> None:
        super().__init__()
        self.there = there
        self.said: list[tuple[str, str, str]] = []

    def available(self) -> bool:
        """As it was made."""
        return self.there

    def say(self, title: str, text: str, kind: str) -> None:
        """Keep it."""
        self.said.append((title, text, kind))

    def close(self) -> None:
        """Nothing to take down."""
