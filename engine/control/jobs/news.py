"""Hands what happens to everyone who listens, without letting a slow listener hold up or fill the memory.

Stored events are kept in order. Of hints only the newest counts (a run's progress, the size of a log, the load),
or they are joined (points). A listener that falls too far behind is marked `lagging`: it has to connect again,
replay the stored events after its cursor and fetch curves and log anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from engine.contract.stream import (
    DatasetChanged,
    DatasetRemoved,
    LogGrew,
    MoveChanged,
    NodeChanged,
    NodeReading,
    NodeRemoved,
    Points,
    Resources,
    RunChanged,
    StreamMessage,
    TransferChanged,
)

MAX_STORED = 5_000
MAX_POINTS = 100_000


class Subscriber:
    """One listener's waiting messages."""

    def __init__(self) -> None:
        self.lagging = False
        self.closed = False
        self.ready = asyncio.Event()
        self._stored: list[StreamMessage] = []
        self._newest: dict[tuple[Any, ...], StreamMessage] = {}
        self._points: dict[tuple[str, int], Points] = {}
        self._count = 0

    def put(self, message: StreamMessage) -> None:
        """Add a message, joining it with those that wait."""
        if self.lagging:
            return
        if isinstance(message, Points):
            self._join(message)
        elif isinstance(message, RunChanged) and message.cursor is None:
            self._newest["run", message.run.uid] = message
        elif (hint := _hint(message)) is not None:
            self._newest[hint] = message
        else:
            if isinstance(message, NodeRemoved):
                self._newest.pop(("node", message.name), None)
            if isinstance(message, DatasetRemoved):
                self._newest.pop(("dataset", message.uid), None)
            self._stored.append(message)
        if len(self._stored) > MAX_STORED or self._count > MAX_POINTS:
            self.lagging = True
            self.take()
        self.ready.set()

    def take(self) -> list[StreamMessage]:
        """Everything that waits, stored events first."""
        messages = [*self._stored, *self._newest.values(), *self._points.values()]
        self._stored, self._newest, self._points, self._count = [], {}, {}, 0
        self.ready.clear()
        return messages

    def close(self) -> None:
        """Wake the listener for the last time."""
        self.closed = True
        self.ready.set()

    def _join(self, message: Points) -> None:
        waiting = self._points.get((message.run, message.attempt))
        if waiting is None:
            copy = {metric: list(points) for metric, points in message.points.items()}
            self._points[message.run, message.attempt] = message.model_copy(update={"points": copy})
        else:
            for metric, points in message.points.items():
                waiting.points.setdefault(metric, []).extend(points)
        self._count += sum(map(len, message.points.values()))


def _hint(message: StreamMessage) -> tuple[Any, ...] | None:
    """What a message of which only the newest counts is about."""
    match message:
        case LogGrew():
            return "log", message.run, message.attempt
        case Resources():
            return ("resources",)
        case NodeChanged():
            return "node", message.node.profile.name
        case NodeReading():
            return "reading", message.node
        case MoveChanged():
            return "move", message.move.uid
        case DatasetChanged():
            return "dataset", message.dataset.uid
        case TransferChanged():
            return "transfer", message.transfer.node, message.transfer.what
        case _:
            return None


class Hub:
    """All listeners. Belongs to the event loop; `from_thread` is the way in from elsewhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._subscribers: set[Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self) -> Subscriber:
        """A new listener; everything published from now on reaches it."""
        subscriber = Subscriber()
        if self._closed:
            subscriber.close()
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The listener has gone."""
        self._subscribers.discard(subscriber)

    def publish(self, messages: Iterable[StreamMessage]) -> None:
        """Hand messages to every listener."""
        for message in messages:
            for subscriber in self._subscribers:
                subscriber.put(message)

    def from_thread(self, messages: list[Any]) -> None:
        """The same from another thread, in the order of the calls."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and every listener with it
            self._loop.call_soon_threadsafe(self.publish, messages)

    def close(self) -> None:
        """End all listeners."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.close()
