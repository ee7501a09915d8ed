"""A few threads that do one piece of work after another, in plain Python.

Not QThreadPool: a QRunnable written in Python is destroyed by the pool's thread while Python's collector may still
know it, which ends now and then in a crash of the whole program.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

Work = Callable[[], object]
log = logging.getLogger(__name__)


class Pool:
    """Does work in the order it came, on as many threads as are asked for; they start with the first work."""

    def __init__(self, threads: int, name: str) -> None:
        self._wanted, self._name = threads, name
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def start(self, work: Work) -> None:
        """Have it done; nothing is begun any more once the pool is closed."""
        if self._is_closed:
            return
        if len(self._threads) < self._wanted:
            number = len(self._threads) + 1
            thread = threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put(work)

    def close(self, seconds: float, finish: bool = False) -> bool:
        """End the threads within so many seconds: with what they are at, or with all that waits (`finish`)."""
        self._is_closed = True
        while not finish:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._queue.put(None)
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("work on a thread failed")
            del work  # what it holds must not live until the next comes
