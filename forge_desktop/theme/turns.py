"""One long thing a turn of the event loop: timers that are due together are served together, before any input is."""

from __future__ import annotations

from PySide6.QtCore import QAbstractEventDispatcher, QCoreApplication, QObject, Slot
from shiboken6 import isValid


class Turns(QObject):
    """Knows whether the turn that runs has had its long thing. There is one for an application."""

    _only: Turns | None = None

    def __init__(self, dispatcher: QAbstractEventDispatcher) -> None:
        super().__init__(QCoreApplication.instance())
        self._is_taken = False
        dispatcher.awake.connect(self._begin)

    @classmethod
    def take(cls) -> bool:
        """Whether whoever asks may go on: nobody did before, in this turn. Without an event loop everybody may."""
        dispatcher = QAbstractEventDispatcher.instance()
        if dispatcher is None:
            return True
        if cls._only is None or not isValid(cls._only):
            cls._only = cls(dispatcher)
        if cls._only._is_taken:
            return False
        cls._only._is_taken = True
        return True

    @Slot()
    def _begin(self) -> None:
        self._is_taken = False
