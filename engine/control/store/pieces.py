"""Curves read piece by piece, in the journal's order, for whoever wants every point of them and cannot hold all.

Between two pieces points may come and the tail may be sealed: a piece says how far it reached, by chunk and line.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np

from engine.control.store import chunks
from engine.control.store.chunks import Columns
from engine.control.store.reading import NOTHING, Points, Series, attempts_of, decoded, series_of, tail_of, where

MOST = 65_536
"""Points of a piece, about."""


@dataclass(frozen=True)
class Place:
    """What was read of a curve: everything of the attempts before this one, of it all up to a chunk and a line."""

    attempt: int = 0
    ordinal: int = -1
    seq: int = -1


def read(
    connection: sqlite3.Connection, run_id: int, name: str, place: Place, most: int = MOST
) -> tuple[Points | None, Place | None]:
    """The next points of a curve and how far they reach; None where there are none, and no place behind the last."""
    attempts = attempts_of(connection, run_id, place.attempt)
    for series in series_of(connection, run_id, [name], attempts):
        for attempt_id, number in attempts.items():
            if number != place.attempt:
                place = Place(number)
            found, place, is_last = _of_attempt(connection, series, attempt_id, place, most)
            if is_last and number == max(attempts.values()):  # what comes later is not waited for
                return _points(series, number, found), None
            if len(found) or not is_last:
                return _points(series, number, found), place
    return None, None


def _of_attempt(
    connection: sqlite3.Connection, series: Series, attempt_id: int, place: Place, most: int
) -> tuple[Columns, Place, bool]:
    """Sealed points behind a place, and the tail where no chunk is left; whether it was."""
    rows = connection.execute(
        "SELECT ordinal, first_x, last_x, n, codec, data FROM chunk "
        "WHERE series_id = ? AND attempt_id = ? AND ordinal > ? ORDER BY ordinal",
        (series.id, attempt_id, place.ordinal),
    )
    parts: list[Columns] = []
    ordinal, count, is_last = place.ordinal, 0, True
    for row in rows:
        if count >= most:
            is_last = False
            break
        ordinal, count = row["ordinal"], count + row["n"]
        points = decoded(series, attempt_id, row)
        if points is not None:
            parts.append(points)
    if is_last:
        tail = tail_of(connection, [attempt_id])[attempt_id]
        if series.metric_id in tail:
            parts.append(tail[series.metric_id])
    found = chunks.join(parts).sorted() if parts else NOTHING
    found = where(found, found.seq > place.seq)
    seq = int(found.seq[-1]) if len(found) else place.seq
    return found, Place(place.attempt, ordinal, seq), is_last


def _points(series: Series, number: int, found: Columns) -> Points:
    attempt = np.full(len(found), number, np.int32)
    return Points(series.name, series.axis, attempt, found.seq, found.x / series.scale, found.t / 1e6, found.value)
