"""What waits for the window's thread: joined where that loses nothing, so that a busy window never has more to do.

Of hints only the newest waits (a run's progress, the size of a log), and points of a run wait as one message. All
else, stored events, readings and answers, keeps its order, and nothing is joined across a change of the line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from engine.contract.stream import LogGrew, Points, RunChanged, StreamMessage

Deed = Callable[[], object]
Item = StreamMessage | Deed


class Inbox:
    """Filled from any thread, emptied by the window's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[object, Item] = {}
        self._number = 0
        self._joins_from = 0
        self._is_rung = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, message: StreamMessage) -> bool:
        """Add a message of the stream; True if the window's thread has to be told."""
        subject = _subject(message)
        with self._lock:
            key = self._next() if subject is None else (self._joins_from, *subject)
            waiting = self._items.get(key)
            if isinstance(message, Points) and isinstance(waiting, Points):
                self._items[key] = _joined(waiting, message)
            else:
                self._items.pop(key, None)  # the newest takes its place at the end: never before what it knows of
                self._items[key] = message
            return self._ring()

    def put_deed(self, deed: Deed, line: bool = False) -> bool:
        """Add something to do; `line`: what comes after it belongs to another connection."""
        with self._lock:
            self._items[self._next()] = deed
            if line:
                self._joins_from = self._number
            return self._ring()

    def take(self) -> Item | None:
        """The oldest; None if nothing waits."""
        with self._lock:
            key = next(iter(self._items), None)
            return None if key is None else self._items.pop(key)

    def answer(self) -> None:
        """The window's thread comes: whoever puts something in from now on has to tell it again."""
        with self._lock:
            self._is_rung = False

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _ring(self) -> bool:
        rung, self._is_rung = self._is_rung, True
        return not rung


def _subject(message: StreamMessage) -> tuple[Any, ...] | None:
    """What a message is about that may be joined with one that waits."""
    match message:
        case Points():
            return "points", message.run, message.attempt
        case RunChanged(cursor=None):
            return "run", message.run.uid
        case LogGrew():
            return "log", message.run, message.attempt
        case _:
            return None


def _joined(first: Points, more: Points) -> Points:
    """Both, in the order they came."""
    points = {metric: [*first.points.get(metric, ()), *found] for metric, found in more.points.items()}
    return first.model_copy(update={"points": first.points | points})
