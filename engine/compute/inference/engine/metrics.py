"""What the engine has done: how long the stages took, how fast it answers, how often beginnings were found."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.compute.inference.engine.blocks import Tally
from engine.compute.inference.engine.requests import Reason, Timing

KEPT = 2048
"""Requests percentiles are taken over."""


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed; 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    place = max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)
    return ordered[min(place, len(ordered) - 1)]


@dataclass
class Metrics:
    """Of one engine; may be read from any thread."""

    cache: Tally
    steps: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    turned_away: int = 0
    _timings: deque[Timing] = field(default_factory=lambda: deque(maxlen=KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ended(self, reason: Reason, timing: Timing) -> None:
        """A request is over."""
        with self._lock:
            self.answers[reason] += 1
            self.tokens += timing.answer
            self._timings.append(timing)

    def refused(self) -> None:
        """One was not taken."""
        with self._lock:
            self.turned_away += 1

    def shares(self, *wanted: float) -> dict[str, dict[float, float]]:
        """Percentiles of the seconds each stage took, of the last requests."""
        with self._lock:
            timings = list(self._timings)
        stages = {
            "queued": [one.queued for one in timings],
            "first": [one.first for one in timings if one.answer],
            "each": [one.each for one in timings if one.answer > 1],
            "whole": [one.whole for one in timings],
        }
        return {name: {share: percentile(values, share) for share in wanted} for name, values in stages.items()}
