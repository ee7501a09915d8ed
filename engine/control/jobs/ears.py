"""Hears at once when live journals and logs grow, so that nobody reads them again and again to find nothing.

One thread looks at the sizes of all of them, which costs next to nothing, and rings whoever follows the one that grew.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from pathlib import Path

LOOK_S = 0.01
SELDOM = 5
"""Only each fifth look is at more than the first file of an ear: a journal is urgent, a log is not."""
RING_S = 1 / 30
"""One ear is rung so often at most: a run is read, stored and shown no more than 30 times a second."""


class Ear:
    """Some files that grow together, the urgent one first.

    `grew` belongs to the event loop, all else to the thread that looks.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.grew = asyncio.Event()
        self.grew.set()  # nobody knows what was there before
        self.quiet_until = 0.0
        self._first, self._others = paths[0], paths[1:]
        self._size, self._sizes = _size(self._first), [_size(path) for path in self._others]

    def has_changed(self, everything: bool) -> bool:
        """Whether the first file, or any, has another size than at the last look."""
        before, self._size = self._size, _size(self._first)
        if not everything:
            return before != self._size
        others, self._sizes = self._sizes, [_size(path) for path in self._others]
        return before != self._size or others != self._sizes


class Ears:
    """All ears of a controller. Made and used on its event loop; `close` waits for the thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ears: frozenset[Ear] = frozenset()
        self._needed, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None

    def listen(self, *paths: Path) -> Ear:
        """An ear on files, which need not be there yet."""
        ear = Ear(paths)
        self._ears |= {ear}
        self._needed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="journal-ears", daemon=True)
            self._thread.start()
        return ear

    def forget(self, ear: Ear) -> None:
        """Nobody needs it any more."""
        self._ears -= {ear}
        if not self._ears:
            self._needed.clear()

    def close(self) -> None:
        """Ring no more."""
        self._ended = True
        self._needed.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        for number in itertools.count():
            time.sleep(LOOK_S)  # cheaper than waiting for the end, which is no more than a look away
            self._needed.wait()
            if self._ended:
                return
            clock, every = time.monotonic(), number % SELDOM == 0
            grown = [ear for ear in self._ears if clock >= ear.quiet_until and ear.has_changed(every)]
            for ear in grown:
                ear.quiet_until = clock + RING_S
            if grown:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and every watch with it
                    self._loop.call_soon_threadsafe(_ring, grown)


def _ring(grown: list[Ear]) -> None:
    for ear in grown:
        ear.grew.set()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
