"""What all requests of an instance share: who may ask, what is counted, how it is doing, whether it takes more."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.compute.serving.alerts import Alerts
from engine.compute.serving.audit import Audit
from engine.compute.serving.counts import Counts
from engine.compute.serving.figures import Figures
from engine.compute.serving.keys import NOBODY, Keyring
from engine.compute.serving.served import Served
from engine.compute.serving.tracing import Tracer
from engine.contract.errors import UserError
from engine.contract.serving import Percentiles, ServeKey, ServeStatus

MOST_ARRIVING = 256 << 20
"""Bytes of requests on their way, together: many who send slowly cost little and keep nobody out."""
SHARES = (0.5, 0.95, 0.99)


@dataclass
class Asking:
    """One request, from its headers to its end."""

    trace: str
    key: ServeKey = NOBODY
    known: bool = False
    """Its key was found valid."""
    model: str = ""
    user: str = ""
    code: str = ""
    """Why it was refused."""
    broken: int = 0
    """Status of the answer it had before it was there whole, because what came was no HTTP any more."""
    tokens: int = 0
    """Of its answer."""


@dataclass
class Desk:
    """Of one instance."""

    served: Served
    keys: Keyring
    counts: Counts
    audit: Audit
    tracer: Tracer
    figures: Figures = field(default_factory=Figures)
    alerts: Alerts = field(default_factory=Alerts)
    draining: bool = False
    busy: int = 0
    """Requests for answers that are not over."""
    arriving: int = 0
    """Bytes of requests that are not there whole."""
    idle_since: float | None = field(default_factory=time.time)
    """Since when nobody asks; None: somebody does."""
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, served: Served, keys: Keyring, folder: Path | None = None) -> Desk:
        """With everything its job asks for; raises what of it is not there."""
        job = served.job
        return cls(served, keys, Counts(job), Audit(folder), Tracer.to(job.tracing))

    @property
    def full(self) -> bool:
        """As many are answered and wait as may."""
        return self.busy >= self.served.job.waiting + self.served.job.parallel

    def admit(self) -> None:
        """Refuse one more request for an answer where there is no place for it."""
        if self.draining:
            raise UserError("serve.draining", seconds=5)
        if self.full:
            raise UserError("serve.full", most=self.served.job.waiting + self.served.job.parallel)

    def hold(self, count: int, most: int) -> None:
        """So many bytes more of a request that arrives; refuses what memory is not kept for. `most`: of one request."""
        if self.arriving + count > max(MOST_ARRIVING, most):
            raise UserError("serve.full", most=self.served.job.waiting + self.served.job.parallel)
        self.arriving += count

    def enter(self) -> None:
        """One more."""
        self.busy, self.idle_since = self.busy + 1, None

    def leave(self) -> None:
        """One is over."""
        self.busy -= 1
        if not self.busy:
            self.idle_since = time.time()

    @property
    def cache_used(self) -> float:
        """Share of the cache that requests have now."""
        pool = self.served.engine.pool
        return pool.used / max(1, pool.count - 1)

    def look(self) -> list[str]:
        """Alerts of this moment."""
        engine = self.served.engine
        values = {
            "first_token": self.figures.first_token, "queue": engine.waiting / self.served.job.waiting,
            "errors": self.figures.error_rate, "cache": self.cache_used,
        }  # fmt: skip
        return self.alerts.look(values)

    def status(self) -> ServeStatus:
        """How the instance is doing."""
        engine, figures = self.served.engine, self.figures
        shares = engine.metrics.shares(*SHARES)
        stages = {name: Percentiles(p50=of[0.5], p95=of[0.95], p99=of[0.99]) for name, of in shares.items()}
        per_minute, per_second = figures.rates
        return ServeStatus(
            model=self.served.name, ready=not self.draining, uptime=time.monotonic() - self.began,
            running=engine.running, waiting=engine.waiting, requests=figures.requests, refused=figures.refused,
            failed=figures.failed, requests_per_minute=per_minute, tokens_per_second=per_second,
            queue=stages["queued"], first_token=stages["first"], each_token=stages["each"], whole=stages["whole"],
            cache_hit_rate=engine.metrics.cache.rate, cache_used=self.cache_used, context=self.served.context,
            adapters=self.served.book.states(), alerts=self.look(),
        )  # fmt: skip

    def now(self) -> dict[str, float]:
        """Gauges of this moment."""
        engine = self.served.engine
        return {
            "running": engine.running, "waiting": engine.waiting, "cache_used": self.cache_used,
            "cache_hit_rate": engine.metrics.cache.rate, "adapters": len(self.served.book.names),
            "alerts": len(self.look()),
        }  # fmt: skip

    def close(self) -> None:
        """Let go of the files and the collector."""
        self.audit.close()
        self.tracer.close()
