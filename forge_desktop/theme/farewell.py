"""Lets go of widgets that nobody sees any more: a part a turn of the event loop, since a large tree takes long."""

from __future__ import annotations

import time
from collections import deque

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer, Slot
from PySide6.QtWidgets import QLayout, QWidget
from shiboken6 import isValid

from forge_desktop.theme.controls import Card
from forge_desktop.theme.later import Later
from forge_desktop.theme.turns import Turns

AT_ONCE_S = 0.008
"""As long as a turn may take, or a little longer."""
WAIT_MS = 60
"""What comes instead is made, laid out and painted first: those turns are long enough."""


class Farewell(QObject):
    """Takes hidden widgets, deletes first what they follow, then their parts, and themselves at last."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._parts: deque[tuple[QObject, ...]] = deque()
        """What goes together, one after another."""
        self._turn = QTimer(self)
        self._turn.timeout.connect(self._next)

    def take(self, widget: QWidget, in_parts: bool) -> None:
        """Let go of a widget. It keeps its parent until then: without one it would be restyled, each widget of it.

        In parts only where nothing but its own models calls it: what it hears from others finds parts that are gone.
        Any other goes as a whole, in a turn of its own: the one that shows the next page is long enough.
        """
        for layout in widget.findChildren(QLayout):
            layout.setEnabled(False)  # else it arranges the rest anew for each widget that goes
        if not in_parts:
            self._parts.append((*reversed(widget.findChildren(Later)), widget))
            self._turn.start(WAIT_MS)
            return
        # Models and timers go first: what goes a part at a time must hear of nothing more. Then what is deep, alone:
        # at each level of a tree that goes, PySide looks at all that is below.
        self._parts += [(child,) for child in widget.children() if not isinstance(child, (QWidget, QLayout))]
        parts = (*reversed(widget.findChildren(Later)), *reversed(widget.findChildren(Card)), widget)
        self._parts += [(part,) for part in parts]
        self._turn.start(WAIT_MS)

    @property
    def is_done(self) -> bool:
        """Nothing is left."""
        return not self._parts

    @Slot()
    def _next(self) -> None:
        self._turn.setInterval(0)
        if not Turns.take():
            return
        end = time.perf_counter() + AT_ONCE_S
        while self._parts:
            for part in self._parts.popleft():
                if isValid(part):  # else it went with another
                    part.deleteLater()
                    QCoreApplication.sendPostedEvents(part, QEvent.Type.DeferredDelete)
            if time.perf_counter() > end:
                return
        self._turn.stop()
