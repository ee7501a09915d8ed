"""How long a worker has given no sign of life, counted only while this controller itself was awake.

A journal or log that grew is a sign of life; a worker writes a line a second. Time is the monotonic clock's, and
of each look at most a short while counts: a computer that slept, or a controller that was held up or stopped
together with its workers, makes nobody silent.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

COUNTS_AT_MOST_S = 2.0


@dataclass
class Silence:
    """The silence of one worker."""

    seconds: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def look(self, heard: bool) -> float:
        """Note whether it was heard since the last look; how long it has been silent by now."""
        clock = time.monotonic()
        passed, self._last = clock - self._last, clock
        self.seconds = 0.0 if heard else self.seconds + min(passed, COUNTS_AT_MOST_S)
        return self.seconds

    def hold(self, seconds: float) -> None:
        """It has a reason to be silent: do not count beyond this."""
        self.seconds = min(self.seconds, seconds)
