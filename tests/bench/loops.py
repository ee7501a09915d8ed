"""Lets the window work for a while, as the program itself does: the other threads run whenever it rests.

`QTest.qWait` holds Python's lock while it sleeps, so that nothing would be read from the controller meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEventLoop, QTimer

LIMIT_S = 180.0
LOOK_MS = 10


def rest(milliseconds: int) -> None:
    """Let the window work for so long."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def until(true: Callable[[], bool], limit_s: float = LIMIT_S, look_ms: int = LOOK_MS) -> None:
    """Let the window work until something is so."""
    limit = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > limit:
            raise TimeoutError("it did not get there")
        rest(look_ms)
