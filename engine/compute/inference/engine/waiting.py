"""Who waits, and who is next: by tier, but nobody for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from engine.compute.inference.engine.requests import Handle


@dataclass(slots=True)
class Waiter:
    """A request in the queue."""

    handle: Handle
    since: float
    number: int


@dataclass
class Queue:
    """Requests by tier; each `ageing` seconds of waiting count as a tier."""

    limit: int = 1024
    ageing: float = 10.0
    _waiting: list[Waiter] = field(default_factory=list)
    _number: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiting)

    @property
    def full(self) -> bool:
        """No more are taken."""
        return len(self._waiting) >= self.limit

    def add(self, handle: Handle, at: float) -> Waiter:
        """One more."""
        self._number += 1
        waiter = Waiter(handle, at, self._number)
        self._waiting.append(waiter)
        return waiter

    def in_order(self, at: float) -> list[Waiter]:
        """The next one first; of equal ones who came first."""
        return sorted(
            self._waiting, key=lambda one: (one.handle.asked.tier - (at - one.since) / self.ageing, one.number)
        )

    def take(self, waiter: Waiter) -> None:
        """It waits no more."""
        self._waiting.remove(waiter)

    def drop(self, unwanted: Callable[[Waiter], bool]) -> list[Waiter]:
        """Let go of some."""
        gone = [one for one in self._waiting if unwanted(one)]
        self._waiting = [one for one in self._waiting if not unwanted(one)]
        return gone
