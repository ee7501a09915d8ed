"""Turns the wide blobs of an attempt into compressed chunks, one curve each, in the transaction of the points.

A curve with few points (a validation every hundred steps) gets them added to its last chunk until that is full.
"""

from __future__ import annotations

from engine.contract import pyramid
from engine.control.store import chunks, tails
from engine.control.store.chunks import Columns, Key
from engine.control.store.database import Transaction
from engine.control.store.tails import Wide

FULL = 1024
"""A chunk with so many points is not touched again."""
MOST = 4096
"""A journal that is caught up with brings many points at once; more than so many never share a chunk."""


def seal(transaction: Transaction, run_id: int, attempt_id: int, axis: str) -> None:
    """Replace all blobs of the attempt on this axis by chunks."""
    rows = transaction.execute(
        "SELECT n, data FROM tail WHERE attempt_id = ? AND axis = ? ORDER BY ordinal", (attempt_id, axis)
    ).fetchall()
    blobs = [tails.decode(row["data"], row["n"]) for row in rows]
    for metrics, points in _grouped(blobs):
        shared: dict[tuple[int, int], bytes] = {}
        for metric, curve in zip(metrics, points, strict=True):
            _store(transaction, _series(transaction, run_id, metric), attempt_id, axis, curve, shared)
    transaction.execute("DELETE FROM tail WHERE attempt_id = ? AND axis = ?", (attempt_id, axis))


def _grouped(blobs: list[Wide]) -> list[tuple[list[int], list[Columns]]]:
    """Curves that stand in the same blobs together: their places on the axis are the same."""
    found: dict[int, list[int]] = {}
    for number, blob in enumerate(blobs):
        for metric in blob.values:
            found.setdefault(metric, []).append(number)
    alike: dict[tuple[int, ...], list[int]] = {}
    for metric, numbers in found.items():
        alike.setdefault(tuple(numbers), []).append(metric)
    return [
        (metrics, [chunks.join([blobs[number].of(metric) for number in numbers]).sorted() for metric in metrics])
        for numbers, metrics in alike.items()
    ]


def _series(transaction: Transaction, run_id: int, metric: int) -> int:
    row = transaction.one("SELECT id FROM series WHERE run_id = ? AND metric_id = ?", (run_id, metric))
    assert row is not None, "points are stored together with their series"
    return int(row[0])


def _store(
    transaction: Transaction,
    series: int,
    attempt_id: int,
    axis: str,
    points: Columns,
    shared: dict[tuple[int, int], bytes],
) -> None:
    ordinal, earlier = _unfilled(transaction, series, attempt_id)
    if earlier is not None:
        points, shared = chunks.join([earlier, points]), {}
    for begin in range(0, len(points), MOST):
        piece = points.piece(begin, begin + MOST)
        place = (begin, begin + len(piece))
        if place not in shared:
            shared[place] = chunks.pack_places(piece)
        key = Key(series, attempt_id, ordinal, len(piece), int(piece.x.min()), int(piece.x.max()))
        summary = pyramid.pack(pyramid.build(piece.x / scale(axis), piece.value))
        data = chunks.encode(key, shared[place], piece.value)
        transaction.execute(
            "INSERT INTO chunk(series_id, attempt_id, ordinal, first_x, last_x, n, codec, pyramid, data) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            (series, attempt_id, ordinal, key.first_x, key.last_x, key.n, chunks.CODEC, summary, data),
        )
        ordinal += 1


def _unfilled(transaction: Transaction, series: int, attempt_id: int) -> tuple[int, Columns | None]:
    """The next ordinal, and what the last chunk held if more fits in; that chunk is taken out."""
    row = transaction.one(
        "SELECT id, ordinal, first_x, last_x, n, codec, CASE WHEN n < ? THEN data END AS data FROM "
        "(SELECT rowid AS id, * FROM chunk WHERE series_id = ? AND attempt_id = ? ORDER BY ordinal DESC LIMIT 1)",
        (FULL, series, attempt_id),
    )
    if row is None:
        return 1, None
    if row["data"] is None:
        return row["ordinal"] + 1, None
    key = Key(series, attempt_id, row["ordinal"], row["n"], row["first_x"], row["last_x"])
    try:
        earlier = chunks.decode(row["codec"], key, row["data"])
    except pyramid.Damaged:  # it stays as it is, for reading to report
        return row["ordinal"] + 1, None
    transaction.execute("DELETE FROM chunk WHERE rowid = ?", (row["id"],))
    return row["ordinal"], earlier


def scale(axis: str) -> float:
    """What an x of this axis is divided by for people: microseconds for readings over time."""
    return 1e6 if axis == "time" else 1.0
