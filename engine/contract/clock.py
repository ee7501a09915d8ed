"""Wall-clock time as the engine records it: never going back while a process lives."""

import threading
import time
from collections.abc import Callable


class Clock:
    """Follows the wall clock, and goes on at its own pace where that jumps back.

    What was written later bears a later time, so that no order turns round and no duration is negative. A jump
    forward is followed. A process started anew sees the wall clock as it is.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()
        self._last, self._at = wall(), steady()

    def now(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            steady = self._steady()
            self._last = max(self._wall(), self._last + steady - self._at)
            self._at = steady
            return self._last


_clock = Clock()


def now() -> float:
    """Seconds since the epoch, as written into journals and the history."""
    return _clock.now()
