"""What attempts cost: hours times price, by day, node or person. What failed costs as much as what did not."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from engine.contract.api import Settings
from engine.contract.nodes import CostRow, Costs

By = Literal["day", "node", "owner"]
DAY_S = 86_400.0
_ATTEMPTS = (
    "SELECT attempt.run_id, attempt.started, coalesce(attempt.ended, :now) AS until, attempt.price, "
    "coalesce(attempt.currency, '') AS currency, run.owner, run.state, coalesce(node.name, run.node) AS node, "
    "(SELECT count(*) FROM json_each(member.devices) WHERE value != 'cpu') AS gpus "
    "FROM attempt JOIN run ON run.id = attempt.run_id "
    "LEFT JOIN member ON member.attempt_id = attempt.id AND rank = 0 LEFT JOIN node ON node.id = member.node_id "
    "WHERE attempt.started < :until AND coalesce(attempt.ended, :now) > :since"
)


@dataclass
class _Sum:
    """One row on its way."""

    gpu_hours: float = 0.0
    cost: float = 0.0
    runs: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)


def summed(
    connection: sqlite3.Connection,
    since: float,
    until: float,
    by: By,
    at: float,
    settings: Settings,
    budget_since: float | None = None,
) -> Costs:
    """Spending between two moments; live attempts count up to now."""
    sums: dict[tuple[str, str], _Sum] = {}
    totals: dict[str, float] = {}
    for row in _rows(connection, since, until, at):
        currency = row["currency"] or settings.currency
        for key, hours in _pieces(row, since, until, by):
            one = sums.setdefault((key, currency), _Sum())
            cost = hours * (row["price"] or 0.0)
            one.gpu_hours += hours * row["gpus"]
            one.cost += cost
            one.runs.add(row["run_id"])
            if row["state"] == "failed":
                one.failed.add(row["run_id"])
            if row["price"] is not None:
                totals[currency] = totals.get(currency, 0.0) + cost
    rows = [
        CostRow(
            key=key, currency=currency, gpu_hours=one.gpu_hours, cost=one.cost, runs=len(one.runs),
            failed=len(one.failed),
        )
        for (key, currency), one in sorted(sums.items())
    ]  # fmt: skip
    used = None
    if settings.budget is not None:
        used = spent(connection, budget_since if budget_since is not None else since, at, settings.currency)
    return Costs(
        since=since, until=until, by=by, rows=rows, totals=totals, budget=settings.budget, budget_used=used
    )  # fmt: skip


def spent(connection: sqlite3.Connection, since: float, at: float, currency: str) -> float:
    """What was spent in one currency since then, the live attempts up to now."""
    total = 0.0
    for row in _rows(connection, since, at, at):
        if (row["currency"] or currency) == currency and row["price"] is not None:
            total += sum(hours for _key, hours in _pieces(row, since, at, "node")) * row["price"]
    return total


def _rows(connection: sqlite3.Connection, since: float, until: float, at: float) -> list[sqlite3.Row]:
    return connection.execute(_ATTEMPTS, {"since": since, "until": until, "now": at}).fetchall()


def _pieces(row: sqlite3.Row, since: float, until: float, by: By) -> Iterator[tuple[str, float]]:
    """Key and hours; an attempt over midnight belongs to both days."""
    begin, end = max(since, row["started"]), min(until, row["until"])
    if by != "day":
        yield str(row[by]), max(0.0, end - begin) / 3600.0
        return
    while begin < end:
        day = dt.datetime.fromtimestamp(begin)
        midnight = dt.datetime.combine(day.date() + dt.timedelta(days=1), dt.time()).timestamp()
        stop = min(end, midnight) if midnight > begin else end
        yield day.date().isoformat(), (stop - begin) / 3600.0
        begin = stop
