"""Reading curves back: sealed chunks and open tail in the journal's order, whole or at a few buckets.

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

from engine.contract import pyramid
from engine.contract.pyramid import Damaged
from engine.control.store import chunks, tails
from engine.control.store.chunks import Columns, Key
from engine.control.store.metrics import Axis
from engine.control.store.sealing import scale

log = logging.getLogger(__name__)
Array = np.ndarray[Any, Any]
_told: set[tuple[int, int, int]] = set()
"""Damaged chunks the log has named already."""


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
class View:
    """A curve at few buckets (`engine.contract.pyramid`), attempt by attempt in the order of the journal."""

    metric: str
    axis: Axis
    attempt: Array
    buckets: Array
    damaged: list[Damage] = field(default_factory=list)


@dataclass
class _Series:
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
        return scale(self.axis)


def read(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str], after: tuple[int, float] | None
) -> list[Points]:
    """See `metrics.read`."""
    attempts = _attempts(connection, run_id, after[0] if after else 0)
    tail = _tail(connection, list(attempts))
    return [_points(connection, one, tail, after) for one in _series(connection, run_id, names, attempts)]


def view(
    connection: sqlite3.Connection,
    run_id: int,
    names: Sequence[str],
    buckets: int,
    from_x: float | None,
    to_x: float | None,
) -> list[View]:
    """See `metrics.view`."""
    attempts = _attempts(connection, run_id, 0)
    tail = _tail(connection, list(attempts))
    begin, end = -math.inf if from_x is None else from_x, math.inf if to_x is None else to_x
    return [_view(connection, one, tail, buckets, begin, end) for one in _series(connection, run_id, names, attempts)]


def _attempts(connection: sqlite3.Connection, run_id: int, first: int) -> dict[int, int]:
    rows = connection.execute("SELECT id, n FROM attempt WHERE run_id = ? AND n >= ? ORDER BY n", (run_id, first))
    return {row[0]: row[1] for row in rows}


def _series(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str], attempts: dict[int, int]
) -> list[_Series]:
    rows = connection.execute(
        "SELECT series.id, metric_id, name, axis FROM series JOIN metric ON metric.id = metric_id "
        "WHERE run_id = ? ORDER BY series.id",
        (run_id,),
    )
    return [_Series(row[0], row[1], row[2], row[3], attempts) for row in rows if not names or row["name"] in names]


def _tail(connection: sqlite3.Connection, attempts: list[int]) -> dict[int, dict[int, Columns]]:
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
    series: _Series,
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
            found.append((n, _where(whole, whole.x / series.scale > beyond)))
    attempt = np.repeat(np.array([n for n, _ in found], np.int32), [len(part) for _, part in found])
    every = chunks.join([part for _, part in found]) if found else Columns(*(np.empty(0, np.int64),) * 3, np.empty(0))
    return Points(
        series.name, series.axis, attempt, every.seq, every.x / series.scale, every.t / 1e6, every.value, series.damaged
    )


def _where(points: Columns, keep: Array) -> Columns:
    if bool(keep.all()):
        return points
    return Columns(points.seq[keep], points.x[keep], points.t[keep], points.value[keep])


def _chunks(connection: sqlite3.Connection, series: _Series, attempt_id: int, beyond: float) -> list[Columns]:
    """The sealed points of an attempt; chunks that hold nothing beyond that x are left out."""
    rows = connection.execute(
        "SELECT ordinal, first_x, last_x, n, codec, data FROM chunk "
        "WHERE series_id = ? AND attempt_id = ? AND last_x / ? > ? ORDER BY ordinal",
        (series.id, attempt_id, series.scale, beyond),
    )
    return [points for row in rows if (points := _decoded(series, attempt_id, row)) is not None]


def _decoded(series: _Series, attempt_id: int, row: sqlite3.Row) -> Columns | None:
    key = Key(series.id, attempt_id, row["ordinal"], row["n"], row["first_x"], row["last_x"])
    try:
        return chunks.decode(row["codec"], key, row["data"])
    except Damaged as error:
        _report(series, key, error)
        return None


def _report(series: _Series, key: Key, error: Damaged) -> None:
    first, last = key.first_x / series.scale, key.last_x / series.scale
    damage = Damage(series.name, series.attempts[key.attempt], first, last, key.n)
    series.damaged.append(damage)
    name = (key.series, key.attempt, key.ordinal)
    if name not in _told:
        _told.add(name)
        log.error("a piece of the history is damaged (%s): %s", error, damage)


def _view(
    connection: sqlite3.Connection,
    series: _Series,
    tail: dict[int, dict[int, Columns]],
    limit: int,
    begin: float,
    end: float,
) -> View:
    plans = [_Plan(connection, series, attempt_id, tail[attempt_id], begin, end) for attempt_id in series.attempts]
    plans = [plan for plan in plans if plan.count]
    size = pyramid.size_for(sum(plan.count for plan in plans), limit - len(plans) + 1)
    parts = [(plan.attempt, plan.buckets(size)) for plan in plans]
    attempt = np.repeat(np.array([n for n, _ in parts], np.int32), [len(part) for _, part in parts])
    every = np.concatenate([part for _, part in parts]) if parts else np.empty(0, pyramid.BUCKET)
    return View(series.name, series.axis, attempt, every, series.damaged)


class _Plan:
    """What a view needs of one attempt: chunks that lie in the range whole, and the points of the others in it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        series: _Series,
        attempt_id: int,
        tail: dict[int, Columns],
        begin: float,
        end: float,
    ) -> None:
        self.attempt = series.attempts[attempt_id]
        self._connection, self._series, self._attempt_id = connection, series, attempt_id
        self._range = (series.id, attempt_id, series.scale, begin, series.scale, end)
        self._alone: dict[int, Array] = {}
        for row in self._rows("NOT " + _INSIDE, "data"):
            points = _decoded(series, attempt_id, row)
            if points is not None:
                self._alone[row["ordinal"]] = self._single(points, begin, end)
        self._tail = np.empty(0, pyramid.BUCKET)
        if series.metric_id in tail:
            self._tail = self._single(tail[series.metric_id], begin, end)
        whole = sum(row["n"] for row in self._rows(_INSIDE, "NULL"))
        self.count = whole + len(self._tail) + sum(len(part) for part in self._alone.values())

    def buckets(self, size: int) -> Array:
        """Buckets of about so many points."""
        level, parts = pyramid.level_for(size), dict(self._alone)
        for row in self._rows(_INSIDE, "data" if level == 1 else "pyramid"):
            found = self._points(row) if level == 1 else self._level(row, level)
            if found is not None:
                parts[row["ordinal"]] = found
        return pyramid.group(np.concatenate([*(parts[place] for place in sorted(parts)), self._tail]), size)

    def _rows(self, condition: str, content: str) -> list[sqlite3.Row]:
        begin, end = self._range[3], self._range[5]
        inside = (self._series.scale, begin, self._series.scale, end)
        return self._connection.execute(
            f"SELECT ordinal, first_x, last_x, n, codec, {content} AS data FROM chunk WHERE series_id = ? "
            f"AND attempt_id = ? AND last_x / ? >= ? AND first_x / ? <= ? AND {condition} ORDER BY ordinal",
            (*self._range, *inside),
        ).fetchall()

    def _points(self, row: sqlite3.Row) -> Array | None:
        points = _decoded(self._series, self._attempt_id, row)
        return None if points is None else self._single(points, -math.inf, math.inf)

    def _level(self, row: sqlite3.Row, level: int) -> Array | None:
        """From the pyramid; from the points where that is damaged."""
        try:
            return pyramid.unpack(row["data"], level)
        except Damaged as error:
            log.warning("the pyramid of a chunk of %s is damaged (%s): its points are read", self._series.name, error)
        (whole,) = self._connection.execute(
            "SELECT ordinal, first_x, last_x, n, codec, data FROM chunk "
            "WHERE series_id = ? AND attempt_id = ? AND ordinal = ?",
            (self._series.id, self._attempt_id, row["ordinal"]),
        ).fetchall()
        return self._points(whole)

    def _single(self, points: Columns, begin: float, end: float) -> Array:
        x = points.x / self._series.scale
        keep = (x >= begin) & (x <= end)
        return pyramid.of_points(x[keep], points.value[keep])


_INSIDE = "(first_x / ? >= ? AND last_x / ? <= ?)"
