"""Notices when the window's thread stands still, and what it was doing: for finding what makes the window stutter.

A timer on the window's thread notes each 10 ms that it is alive; a thread of its own looks at the note. Where it is
older than the limit the window stands still: the stack of its thread is taken at once, and the stall is reported with
its whole length when it is over. On with FORGE_DEBUG=1; it costs a wake-up of two threads each 10 ms.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, QTimer, Slot

LIMIT_S = 0.05
BEAT_MS = 10
DEEPEST = 25
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stall:
    """The window stood still so long; the stack is what its thread was at when the limit was passed."""

    seconds: float
    stack: str


def write_down(stall: Stall) -> None:
    """Into the desktop's log."""
    log.warning("the window stood still for %.0f ms\n%s", 1000 * stall.seconds, stall.stack)


class Watchdog(QObject):
    """Watches the thread it is made on, from `start` to `close`."""

    def __init__(
        self, tell: Callable[[Stall], object] = write_down, limit: float = LIMIT_S, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._tell, self._limit = tell, limit
        self._watched = threading.get_ident()
        self._alive = time.monotonic()
        self._end = threading.Event()
        self._beat = QTimer(self, interval=BEAT_MS)
        self._beat.setTimerType(Qt.TimerType.PreciseTimer)
        self._beat.timeout.connect(self._note)
        self._thread = threading.Thread(target=self._watch, name="forge-watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._note()
        self._beat.start()
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._beat.stop()
        if self._thread.is_alive():
            self._thread.join()

    @Slot()
    def _note(self) -> None:
        self._alive = time.monotonic()

    def _watch(self) -> None:
        while not self._end.wait(BEAT_MS / 1000):
            since = self._alive
            if time.monotonic() - since > self._limit:
                stack = self._stack()
                while self._alive == since and not self._end.wait(BEAT_MS / 1000):
                    pass
                if not self._end.is_set():
                    self._tell(Stall(self._alive - since, stack))

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame, DEEPEST)) if frame is not None else ""
