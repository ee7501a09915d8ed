"""What an instance has done, for Prometheus and for its status."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engine.compute.inference.engine.metrics import percentile
from engine.compute.inference.engine.requests import Timing

MOST_LABELS = 100
OTHER = "other"
WINDOW_S = 60.0
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
JUDGED_S = 300.0
"""What alerts go by: a bad hour is over some time."""
LEAST_JUDGED, MOST_JUDGED = 20, 4096


@dataclass
class Bounded:
    """Values of a label: the first hundred by their names, the others together."""

    most: int = MOST_LABELS
    _known: set[str] = field(default_factory=set)

    def of(self, value: str) -> str:
        """The value, or `other`."""
        if value in self._known:
            return value
        if len(self._known) >= self.most:
            return OTHER
        self._known.add(value)
        return value


class Figures:
    """Of one instance; may be written and read from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self.registry = CollectorRegistry()
        self._models, self._tenants = Bounded(), Bounded()
        both = ["model_id", "tenant"]
        self._requests = self._counter("requests", "Requests by their end.", ["endpoint", "status", *both])
        self._tokens = self._counter("tokens", "Tokens of prompts, those found again, and of answers.", ["kind", *both])
        self._stages = {
            name: Histogram(f"forge_{name}_seconds", text, both, registry=self.registry, buckets=SECONDS)
            for name, text in (
                ("queue", "Waiting for a turn."), ("first_token", "To the first token."),
                ("each_token", "A token after the first."), ("request", "A whole answer."),
            )
        }  # fmt: skip
        self._gauges = {
            name: Gauge(f"forge_{name}", text, registry=self.registry)
            for name, text in (
                ("running", "Requests at work."), ("waiting", "Requests that wait."),
                ("cache_used", "Share of the cache that is used."), ("cache_hit_rate", "Share of prompts found again."),
                ("adapters", "Adapters that may be asked for."), ("alerts", "Thresholds that are passed."),
            )
        }  # fmt: skip
        self.requests = self.refused = self.failed = 0
        self._recent = deque[tuple[float, int, int]]()
        self._ends = deque[tuple[float, bool]](maxlen=MOST_JUDGED)
        self._firsts = deque[tuple[float, float]](maxlen=MOST_JUDGED)

    def over(self, endpoint: str, status: int, model: str, tenant: str, answering: bool = True) -> None:
        """A request has its end; those that only look are counted apart from those that ask for an answer."""
        at = self._clock()
        with self._lock:
            if answering:
                self.requests += 1
                self.refused += 400 <= status < 500
                self.failed += status >= 500
                self._ends.append((at, status >= 500))
                self._remember(at, 1, 0)
            labels = (self._models.of(model), self._tenants.of(tenant))
        self._requests.labels(endpoint, str(status), *labels).inc()

    def answered(self, timing: Timing, model: str, tenant: str) -> None:
        """An answer is whole."""
        at = self._clock()
        with self._lock:
            self._remember(at, 0, timing.answer)
            if timing.answer:
                self._firsts.append((at, timing.first))
            labels = (self._models.of(model), self._tenants.of(tenant))
        for kind, count in (("prompt", timing.prompt), ("cached", timing.cached), ("answer", timing.answer)):
            self._tokens.labels(kind, *labels).inc(count)
        stages = {"queue": timing.queued, "request": timing.whole}
        if timing.answer:
            stages["first_token"] = timing.first
        if timing.answer > 1:
            stages["each_token"] = timing.each
        for name, seconds in stages.items():
            self._stages[name].labels(*labels).observe(seconds)

    def _remember(self, at: float, requests: int, tokens: int) -> None:
        """Of the last minute, whether or not anybody asks for it."""
        self._recent.append((at, requests, tokens))
        self._forget(at)

    def _forget(self, at: float) -> None:
        while self._recent and self._recent[0][0] < at - WINDOW_S:
            self._recent.popleft()

    @property
    def rates(self) -> tuple[float, float]:
        """Requests a minute and tokens a second, over the last minute."""
        with self._lock:
            self._forget(self._clock())
            requests = sum(requests for _, requests, _ in self._recent)
            return float(requests), sum(tokens for *_, tokens in self._recent) / WINDOW_S

    @property
    def error_rate(self) -> float:
        """Share of the requests of the last minutes that failed; 0 while there were few."""
        with self._lock:
            since = self._clock() - JUDGED_S
            ends = [failed for at, failed in self._ends if at >= since]
        return sum(ends) / len(ends) if len(ends) >= LEAST_JUDGED else 0.0

    @property
    def first_token(self) -> float:
        """Seconds to the first token that one in twenty of the last minutes exceeded."""
        with self._lock:
            since = self._clock() - JUDGED_S
            return percentile((first for at, first in self._firsts if at >= since), 0.95)

    def text(self, now: dict[str, float]) -> bytes:
        """In Prometheus' form, with these values of the moment."""
        for name, value in now.items():
            self._gauges[name].set(value)
        return bytes(generate_latest(self.registry))

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"forge_{name}", text, labels, registry=self.registry)
