"""Curves in the history: wide blobs as they come in, and what a list of curves shows.

A blob holds the points of one flush that share axis and metrics: a JSON header with its length before it, then
columns of equal length, little-endian: journal line (int64), step or µs (int64), wall time in µs (int64), and a
float64 column for each metric. NaN, infinities, repeated and decreasing steps pass unchanged.
"""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.contract.api import SeriesInfo
from engine.control.store.database import Transaction

if TYPE_CHECKING:
    import numpy as np

Axis = Literal["step", "time"]


@dataclass
class Row:
    """The metrics of one journal line."""

    seq: int
    x: int
    t: float
    values: dict[str, float]


@dataclass
class Block:
    """Points of one flush with the same axis and the same metrics."""

    axis: Axis
    metrics: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)


def micros(seconds: float) -> int:
    """Whole microseconds, the only form in which times are stored."""
    return round(seconds * 1_000_000)


def append(transaction: Transaction, run_id: int, attempt_id: int, ordinal: int, blocks: Iterable[Block]) -> int:
    """Store the blocks in order and bring the list of curves up to date; returns the next ordinal."""
    for block in blocks:
        ids = [_metric_id(transaction, name) for name in block.metrics]
        transaction.execute(
            "INSERT INTO tail(attempt_id, ordinal, n, data) VALUES (?,?,?,?)",
            (attempt_id, ordinal, len(block.rows), encode(block, ids)),
        )
        for name, metric in zip(block.metrics, ids, strict=True):
            _note_series(
                transaction, run_id, metric, block.axis, block.rows[-1].x, [r.values[name] for r in block.rows]
            )
        ordinal += 1
    return ordinal


def _metric_id(transaction: Transaction, name: str) -> int:
    row = transaction.one("SELECT id FROM metric WHERE name = ?", (name,))
    if row is not None:
        return int(row[0])
    return int(transaction.execute("INSERT INTO metric(name) VALUES (?)", (name,)).lastrowid or 0)


def _note_series(
    transaction: Transaction, run_id: int, metric: int, axis: Axis, last_x: int, values: Sequence[float]
) -> None:
    finite = [value for value in values if not math.isnan(value)]
    low, high = (min(finite), max(finite)) if finite else (None, None)
    x = last_x / 1_000_000 if axis == "time" else float(last_x)
    transaction.execute(
        "INSERT INTO series(run_id, metric_id, axis, n, last_x, last, min, max) VALUES (?,?,?,?,?,?,?,?) "
        "ON CONFLICT(run_id, metric_id) DO UPDATE SET n = n + excluded.n, last_x = excluded.last_x, "
        "last = excluded.last, min = coalesce(min(min, excluded.min), min, excluded.min), "
        "max = coalesce(max(max, excluded.max), max, excluded.max)",
        (run_id, metric, axis, len(values), x, values[-1], low, high),
    )


def encode(block: Block, ids: Sequence[int]) -> bytes:
    """The blob of a block."""
    header = json.dumps({"axis": block.axis, "metrics": list(ids)}).encode()
    whole = [array("q", (row.seq for row in block.rows)), array("q", (row.x for row in block.rows))]
    whole.append(array("q", (micros(row.t) for row in block.rows)))
    columns: list[array[Any]] = [*whole, *(array("d", (r.values[name] for r in block.rows)) for name in block.metrics)]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    return struct.pack("<I", len(header)) + header + b"".join(column.tobytes() for column in columns)


@dataclass
class Points:
    """Points of one curve as arrays of equal length, in the order of the journal."""

    metric: str
    axis: Axis
    attempt: np.ndarray[Any, Any]
    seq: np.ndarray[Any, Any]
    x: np.ndarray[Any, Any]
    """Step, or seconds for device readings."""
    t: np.ndarray[Any, Any]
    value: np.ndarray[Any, Any]


def read(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str] = (), after: tuple[int, float] | None = None
) -> list[Points]:
    """The named curves (all, without names) after (attempt, step): later attempts whole, that one beyond the step."""
    known = dict(connection.execute("SELECT id, name FROM metric").fetchall())
    wanted = {number: name for number, name in known.items() if not names or name in names}
    first = after[0] if after else 0
    blobs = connection.execute(
        "SELECT attempt.n, tail.n, tail.data FROM tail JOIN attempt ON attempt.id = tail.attempt_id "
        "WHERE attempt.run_id = ? AND attempt.n >= ? ORDER BY attempt.n, tail.ordinal",
        (run_id, first),
    )
    parts: dict[int, list[tuple[Any, ...]]] = {}
    axes: dict[int, Axis] = {}
    for attempt, count, data in blobs:
        _split(data, count, attempt, wanted, parts, axes)
    return [_join(wanted[metric], axes[metric], found, after) for metric, found in parts.items()]


def _split(
    data: bytes,
    count: int,
    attempt: int,
    wanted: dict[int, str],
    parts: dict[int, list[tuple[Any, ...]]],
    axes: dict[int, Axis],
) -> None:
    """Lay the columns of one blob beside those found before; nothing is copied yet."""
    import numpy as np

    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    start, width = 4 + length, 8 * count
    whole = [np.frombuffer(data, "<i8", count, start + place * width) for place in range(3)]
    for place, metric in enumerate(header["metrics"]):
        if metric in wanted:
            values = np.frombuffer(data, "<f8", count, start + (3 + place) * width)
            axes[metric] = header["axis"]
            parts.setdefault(metric, []).append((attempt, *whole, values))


def _join(metric: str, axis: Axis, parts: list[tuple[Any, ...]], after: tuple[int, float] | None) -> Points:
    import numpy as np

    attempt = np.repeat([part[0] for part in parts], [len(part[1]) for part in parts]).astype(np.int32)
    seq, x, t, value = (np.concatenate([part[place] for part in parts]) for place in range(1, 5))
    order = np.lexsort((seq, attempt))
    scale = 1e6 if axis == "time" else 1.0
    points = Points(metric, axis, attempt[order], seq[order], x[order] / scale, t[order] / 1e6, value[order])
    if after is not None:
        keep = (points.attempt > after[0]) | (points.x > after[1])
        for name in ("attempt", "seq", "x", "t", "value"):
            setattr(points, name, getattr(points, name)[keep])
    return points


def series(connection: sqlite3.Connection, run_id: int) -> list[SeriesInfo]:
    """The curves of a run."""
    rows = connection.execute(
        "SELECT metric.name, series.* FROM series JOIN metric ON metric.id = series.metric_id "
        "WHERE run_id = ? ORDER BY metric.name",
        (run_id,),
    )
    return [
        SeriesInfo(
            metric=row["name"],
            axis=row["axis"],
            n=row["n"],
            last_x=row["last_x"],
            last=row["last"],
            min=row["min"],
            max=row["max"],
        )
        for row in rows
    ]
