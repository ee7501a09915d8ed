"""Curves in the history: wide blobs as they come in, when these are sealed, and what a list of curves shows.

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
    from engine.control.store.reading import Points
    from engine.control.store.views import View

Axis = Literal["step", "time"]
SEAL_AT = 1024
"""An attempt whose blobs hold so many journal lines of an axis has them sealed into chunks."""
SEAL_AT_END = 128
"""The same once nothing more will come. Fewer lines take no more room as blobs than as a chunk for each curve."""


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


def append(
    transaction: Transaction,
    run_id: int,
    attempt_id: int,
    ordinal: int,
    blocks: Iterable[Block],
    last: bool = False,
) -> int:
    """Store the blocks in order and bring the list of curves up to date; returns the next ordinal.

    `last` says that the attempt has nothing more to tell.
    """
    grown: set[str] = {"step", "time"} if last else set()
    for block in blocks:
        ids = [_metric_id(transaction, name) for name in block.metrics]
        transaction.execute(
            "INSERT INTO tail(attempt_id, ordinal, n, data, axis) VALUES (?,?,?,?,?)",
            (attempt_id, ordinal, len(block.rows), encode(block, ids), block.axis),
        )
        for name, metric in zip(block.metrics, ids, strict=True):
            _note_series(
                transaction, run_id, metric, block.axis, block.rows[-1].x, [r.values[name] for r in block.rows]
            )
        grown.add(block.axis)
        ordinal += 1
    for axis in sorted(grown):
        _seal_if_full(transaction, run_id, attempt_id, axis, SEAL_AT_END if last else SEAL_AT)
    return ordinal


def _seal_if_full(transaction: Transaction, run_id: int, attempt_id: int, axis: str, enough: int) -> None:
    row = transaction.one("SELECT sum(n) FROM tail WHERE attempt_id = ? AND axis = ?", (attempt_id, axis))
    if row is not None and (row[0] or 0) >= enough:
        from engine.control.store import sealing  # numpy; a controller starts without it

        sealing.seal(transaction, run_id, attempt_id, axis)


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


def read(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str] = (), after: tuple[int, float] | None = None
) -> list[Points]:
    """The named curves (all, without names) after (attempt, step): later attempts whole, that one beyond the step."""
    from engine.control.store import reading

    return reading.read(connection, run_id, names, after)


def view(
    connection: sqlite3.Connection,
    run_id: int,
    names: Sequence[str] = (),
    buckets: int = 2000,
    from_x: float | None = None,
    to_x: float | None = None,
) -> list[View]:
    """The named curves at no more than so many buckets each, of the points with from_x <= x <= to_x."""
    from engine.control.store import views

    return views.view(connection, run_id, names, buckets, from_x, to_x)


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
