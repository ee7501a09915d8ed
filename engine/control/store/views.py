"""The course of curves at a few buckets: from the chunks' pyramids, and from points where a range cuts a chunk."""

from __future__ import annotations

import logging
import math
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.contract import pyramid
from engine.contract.pyramid import Damaged
from engine.control.store import chunks
from engine.control.store.chunks import Columns
from engine.control.store.metrics import Axis
from engine.control.store.reading import NOTHING, Array, Damage, Series, attempts_of, decoded, series_of, tail_of, where

log = logging.getLogger(__name__)
_INSIDE = "(first_x / ? >= ? AND last_x / ? <= ?)"
_LAST = sys.maxsize
"""Where the tail stands among the chunks."""


@dataclass
class View:
    """A curve at few buckets (`engine.contract.pyramid`), attempt by attempt in the order of the journal."""

    metric: str
    axis: Axis
    attempt: Array
    buckets: Array
    damaged: list[Damage] = field(default_factory=list)


def view(
    connection: sqlite3.Connection,
    run_id: int,
    names: Sequence[str],
    buckets: int,
    from_x: float | None,
    to_x: float | None,
) -> list[View]:
    """See `metrics.view`."""
    attempts = attempts_of(connection, run_id, 0)
    tail = tail_of(connection, list(attempts))
    begin, end = -math.inf if from_x is None else from_x, math.inf if to_x is None else to_x
    return [_view(connection, one, tail, buckets, begin, end) for one in series_of(connection, run_id, names, attempts)]


def _view(
    connection: sqlite3.Connection,
    series: Series,
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
        series: Series,
        attempt_id: int,
        tail: dict[int, Columns],
        begin: float,
        end: float,
    ) -> None:
        self.attempt = series.attempts[attempt_id]
        self._connection, self._series, self._attempt_id = connection, series, attempt_id
        self._range = (series.id, attempt_id, series.scale, begin, series.scale, end)
        self._alone: dict[int, Columns] = {}
        for row in self._rows("NOT " + _INSIDE, "data"):
            points = decoded(series, attempt_id, row)
            if points is not None:
                self._alone[row["ordinal"]] = self._within(points, begin, end)
        if series.metric_id in tail:
            self._alone[_LAST] = self._within(tail[series.metric_id], begin, end)
        whole = sum(row["n"] for row in self._rows(_INSIDE, "NULL"))
        self.count = whole + sum(len(part) for part in self._alone.values())

    def buckets(self, size: int) -> Array:
        """Buckets of about so many points."""
        level = pyramid.level_for(size)
        if level == 1:
            parts = dict(self._alone)
            for row in self._rows(_INSIDE, "data"):
                points = decoded(self._series, self._attempt_id, row)
                if points is not None:
                    parts[row["ordinal"]] = points
            whole = chunks.join([parts[place] for place in sorted(parts)]) if parts else NOTHING
            return pyramid.of_points(whole.x / self._series.scale, whole.value, size)
        found = {place: self._single(points) for place, points in self._alone.items()}
        found |= {row["ordinal"]: self._level(row, level) for row in self._rows(_INSIDE, "pyramid")}
        return pyramid.group(np.concatenate([found[place] for place in sorted(found)]), size)

    def _rows(self, condition: str, content: str) -> list[sqlite3.Row]:
        begin, end = self._range[3], self._range[5]
        inside = (self._series.scale, begin, self._series.scale, end)
        return self._connection.execute(
            f"SELECT ordinal, first_x, last_x, n, codec, {content} AS data FROM chunk WHERE series_id = ? "
            f"AND attempt_id = ? AND last_x / ? >= ? AND first_x / ? <= ? AND {condition} ORDER BY ordinal",
            (*self._range, *inside),
        ).fetchall()

    def _level(self, row: sqlite3.Row, level: int) -> Array:
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
        return self._single(decoded(self._series, self._attempt_id, whole) or NOTHING)

    def _single(self, points: Columns) -> Array:
        return pyramid.of_points(points.x / self._series.scale, points.value)

    def _within(self, points: Columns, begin: float, end: float) -> Columns:
        x = points.x / self._series.scale
        return where(points, (x >= begin) & (x <= end))
