"""What runs have cost today, where slots have a price."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.contract.api import RunSummary
from engine.contract.states import LIVE
from forge_desktop.bridge.backend import Backend

AT_ONCE = 200
MOST = 2000


@dataclass(frozen=True)
class Spend:
    """A sum, its currency, and whether any price is set at all."""

    amount: float = 0.0
    currency: str = "USD"
    priced: bool = False
    runs: int = 0


def midnight(now: float) -> float:
    """When this day began here."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))


def cost_since(run: RunSummary, begin: float, now: float) -> float:
    """The part of a run's cost that falls after a moment: its cost by the share of its time."""
    if not run.cost or not run.seconds or run.started is None:
        return 0.0
    end = now if run.state in LIVE or run.finished is None else run.finished
    seconds = min(run.seconds, max(0.0, end - max(begin, run.started)))
    return run.cost * seconds / run.seconds


def spend_today(backend: Backend, now: float | None = None) -> Spend:
    """For request threads: add up what is at work and what ended today."""
    settings = backend.price_list()
    if not any(settings.prices.values()):
        return Spend(currency=settings.currency)
    now = time.time() if now is None else now
    begin, live = midnight(now), [str(state) for state in sorted(LIVE)]
    runs = {run.uid: run for run in backend.runs(live, "", 0, AT_ONCE).runs}
    ended = ["completed", "failed", "stopped", "paused"]
    for offset in range(0, MOST, AT_ONCE):
        page = backend.runs(ended, "", offset, AT_ONCE, "finished", True).runs
        today = [run for run in page if run.finished is not None and run.finished >= begin]
        runs |= {run.uid: run for run in today}
        if len(today) < AT_ONCE:
            break
    costs = [cost for run in runs.values() if (cost := cost_since(run, begin, now))]
    return Spend(sum(costs), settings.currency, True, len(costs))
