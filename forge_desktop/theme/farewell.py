"""Lets go of widgets that nobody sees any more: a part a turn of the event loop, since a large tree takes long."""

from __future__ import annotations

import time
from collections import deque

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer, Slot
from PySide6.QtWidgets import QLayout, QWidget
from shiboken6 import isValid

from forge_desktop.theme.controls import Card
from forge_desktop.theme.later import Later

AT_ONCE_S = 0.008
"""As long as a turn may take, or a little longer."""


class Farewell(QObject):
    """Takes hidden widgets, deletes first what they follow, then their parts, and themselves at last."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._parts: deque[QObject] = deque()
        self._turn = QTimer(self, interval=0)
        self._turn.timeout.connect(self._next)

    def take(self, widget: QWidget) -> None:
        """Let go of a widget. It keeps its parent until then: without one it would be restyled, each widget of it."""
        for layout in widget.findChildren(QLayout):
            layout.setEnabled(False)  # else it arranges the rest anew for each widget that goes
        # Models and timers go first: what goes a part at a time must hear of nothing more. Then what is deep, alone:
        # at each level of a tree that goes, PySide looks at all that is below.
        self._parts += [child for child in widget.children() if not isinstance(child, (QWidget, QLayout))]
        self._parts += [*reversed(widget.findChildren(Later)), *reversed(widget.findChildren(Card)), widget]
        self._turn.start()

    @property
    def is_done(self) -> bool:
        """Nothing is left."""
        return not self._parts

    @Slot()
    def _next(self) -> None:
        end = time.perf_counter() + AT_ONCE_S
        while self._parts:
            part = self._parts.popleft()
            if isValid(part):  # else it went with another
                part.deleteLater()
                QCoreApplication.sendPostedEvents(part, QEvent.Type.DeferredDelete)
            if time.perf_counter() > end:
                return
        self._turn.stop()
