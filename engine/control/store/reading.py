"""Reading curves back: sealed chunks and open tail in the journal's order.

A damaged chunk is left out and named, with its curve and range; everything else is read as if nothing had happened.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.contract.pyramid import Damaged
from engine.control.store import chunks, tails
from engine.control.store.chunks import Columns, Key
from engine.control.store.metrics import Axis
from engine.control.store.sealing import scale

log = logging.getLogger(__name__)
Array = np.ndarray[Any, Any]
_told: set[tuple[int, int, int]] = set()
"""Damaged chunks the log has named already."""
NOTHING = Columns(*(np.empty(0, np.int64),) * 3, np.empty(0))


@dataclass(frozen=True)
class Damage:
    """Points that are lost: which curve, which attempt, from where to where, and how many."""

    metric: str
    attempt: int
    first_x: float
    last_x: float
    n: int


@dataclass
class Points:
    """Points of one curve as arrays of equal length, in the order of the journal."""

    metric: str
    axis: Axis
    attempt: Array
    seq: Array
    x: Array
    """Step, or seconds for device readings."""
    t: Array
    value: Array
    damaged: list[Damage] = field(default_factory=list)


@dataclass
class Series:
    """A curve that was asked for."""

    id: int
    metric_id: int
    name: str
    axis: Axis
    attempts: dict[int, int]
    """Attempt id to its number."""
    damaged: list[Damage] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """What a stored x is divided by."""
        return scale(self.axis)


def read(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str], after: tuple[int, float] | None
) -> list[Points]:
    """See `metrics.read`."""
    attempts = attempts_of(connection, run_id, after[0] if after else 0)
    tail = tail_of(connection, list(attempts))
    return [_points(connection, one, tail, after) for one in series_of(connection, run_id, names, attempts)]


def attempts_of(connection: sqlite3.Connection, run_id: int, first: int) -> dict[int, int]:
    """The run's attempts from that number on: id to number."""
    rows = connection.execute("SELECT id, n FROM attempt WHERE run_id = ? AND n >= ? ORDER BY n", (run_id, first))
    return {row[0]: row[1] for row in rows}


def series_of(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str], attempts: dict[int, int]
) -> list[Series]:
    """The named curves; all without names."""
    rows = connection.execute(
        "SELECT series.id, metric_id, name, axis FROM series JOIN metric ON metric.id = metric_id "
        "WHERE run_id = ? ORDER BY series.id",
        (run_id,),
    )
    return [Series(row[0], row[1], row[2], row[3], attempts) for row in rows if not names or row["name"] in names]


def tail_of(connection: sqlite3.Connection, attempts: list[int]) -> dict[int, dict[int, Columns]]:
    """Points that are not sealed yet, by attempt and metric."""
    found: dict[int, dict[int, Columns]] = {}
    for attempt_id in attempts:
        parts: dict[int, list[Columns]] = {}
        rows = connection.execute("SELECT n, data FROM tail WHERE attempt_id = ? ORDER BY ordinal", (attempt_id,))
        for count, data in rows:
            wide = tails.decode(data, count)
            for metric in wide.values:
                parts.setdefault(metric, []).append(wide.of(metric))
        found[attempt_id] = {metric: chunks.join(part).sorted() for metric, part in parts.items()}
    return found


def _points(
    connection: sqlite3.Connection,
    series: Series,
    tail: dict[int, dict[int, Columns]],
    after: tuple[int, float] | None,
) -> Points:
    found: list[tuple[int, Columns]] = []
    for attempt_id, n in series.attempts.items():
        beyond = after[1] if after is not None and n == after[0] else -math.inf
        parts = _chunks(connection, series, attempt_id, beyond)
        if series.metric_id in tail[attempt_id]:
            parts.append(tail[attempt_id][series.metric_id])
        if parts:
            whole = chunks.join(parts).sorted()
            found.append((n, where(whole, whole.x / series.scale > beyond)))
    attempt = np.repeat(np.array([n for n, _ in found], np.int32), [len(part) for _, part in found])
    every = chunks.join([part for _, part in found]) if found else NOTHING
    return Points(
        series.name, series.axis, attempt, every.seq, every.x / series.scale, every.t / 1e6, every.value, series.damaged
    )


def where(points: Columns, keep: Array) -> Columns:
    """The points to keep."""
    if bool(keep.all()):
        return points
    return Columns(points.seq[keep], points.x[keep], points.t[keep], points.value[keep])


def _chunks(connection: sqlite3.Connection, series: Series, attempt_id: int, beyond: float) -> list[Columns]:
    """The sealed points of an attempt; chunks that hold nothing beyond that x are left out."""
    rows = connection.execute(
        "SELECT ordinal, first_x, last_x, n, codec, data FROM chunk "
        "WHERE series_id = ? AND attempt_id = ? AND last_x / ? > ? ORDER BY ordinal",
        (series.id, attempt_id, series.scale, beyond),
    )
    return [points for row in rows if (points := decoded(series, attempt_id, row)) is not None]


def decoded(series: Series, attempt_id: int, row: sqlite3.Row) -> Columns | None:
    """The points of a chunk; None, and a report, if it is damaged."""
    key = Key(series.id, attempt_id, row["ordinal"], row["n"], row["first_x"], row["last_x"])
    try:
        return chunks.decode(row["codec"], key, row["data"])
    except Damaged as error:
        _report(series, key, error)
        return None


def _report(series: Series, key: Key, error: Damaged) -> None:
    first, last = key.first_x / series.scale, key.last_x / series.scale
    damage = Damage(series.name, series.attempts[key.attempt], first, last, key.n)
    series.damaged.append(damage)
    name = (key.series, key.attempt, key.ordinal)
    if name not in _told:
        _told.add(name)
        log.error("a piece of the history is damaged (%s): %s", error, damage)
