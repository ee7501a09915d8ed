"""Wall-clock time as the engine records it."""

import time


def now() -> float:
    """Seconds since the epoch, as written into journals and the history."""
    return time.time()
