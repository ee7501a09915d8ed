"""Readings of nodes in the history: each as it was for an hour, means of minutes for two days, of hours for 90 days."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping

from engine.contract.nodes import NodeHistory
from engine.control.store import events
from engine.control.store.database import Transaction

AS_READ, MINUTE, HOUR = 0, 1, 2
WIDTHS = {AS_READ: 0.0, MINUTE: 60.0, HOUR: 3600.0}
KEPT_S = {AS_READ: 3600.0, MINUTE: 2 * 86_400.0, HOUR: 90 * 86_400.0}
MOST_POINTS = 2000

Point = tuple[float, dict[str, float]]


def add(transaction: Transaction, rows: Iterable[tuple[int, float, Mapping[str, float]]]) -> None:
    """Keep readings: node id, moment, values."""
    transaction.connection.executemany(
        "INSERT OR REPLACE INTO node_reading(node_id, level, at, body) VALUES (?, 0, ?, ?)",
        [(node, at, events.dump({key: round(value, 4) for key, value in values.items()})) for node, at, values in rows],
    )


def thin(transaction: Transaction, at: float) -> None:
    """Make means of what is whole by now, then let go what had its time. Done twice it changes nothing."""
    known = [row[0] for row in transaction.execute("SELECT DISTINCT node_id FROM node_reading")]
    for node in known:
        for level in (MINUTE, HOUR):
            _gather(transaction, node, level, at)
    for level, seconds in KEPT_S.items():
        transaction.execute("DELETE FROM node_reading WHERE level = ? AND at < ?", (level, at - seconds))


def _gather(transaction: Transaction, node: int, level: int, at: float) -> None:
    """Means of the level below for every span that is over and has none yet."""
    width = WIDTHS[level]
    last = transaction.execute(
        "SELECT max(at) FROM node_reading WHERE node_id = ? AND level = ?", (node, level)
    ).fetchone()[0]
    begin = -1.0 if last is None else last + width
    until = at // width * width
    rows = _rows(transaction.connection, node, level - 1, begin, until)
    for start, values in means(rows, width):
        transaction.execute(
            "INSERT OR IGNORE INTO node_reading(node_id, level, at, body) VALUES (?,?,?,?)",
            (node, level, start, events.dump(values)),
        )


def means(points: Iterable[Point], width: float) -> list[Point]:
    """Means over spans of so many seconds, each at its span's beginning; a value counts where it was read."""
    spans: dict[float, dict[str, tuple[float, int]]] = {}
    for at, values in points:
        span = spans.setdefault(at // width * width, {})
        for key, value in values.items():
            total, count = span.get(key, (0.0, 0))
            span[key] = (total + value, count + 1)
    return [
        (start, {key: round(total / count, 4) for key, (total, count) in span.items()})
        for start, span in sorted(spans.items())
    ]


def history(
    connection: sqlite3.Connection,
    node: int,
    name: str,
    since: float,
    until: float,
    at: float,
    keys: Collection[str] = (),
    points: int = MOST_POINTS,
) -> NodeHistory:
    """What a chart can show of the time between two moments; where means do not reach yet, the finer readings."""
    level = _level(since, until, at)
    found: list[Point] = []
    begin = since
    for finer in range(level, -1, -1):
        rows = list(_rows(connection, node, finer, begin, until))
        found += rows
        if rows:
            begin = rows[-1][0] + max(WIDTHS[finer], 1e-6)
    width = WIDTHS[level] or (found[-1][0] - found[0][0]) / max(1, len(found) - 1) if len(found) > 1 else WIDTHS[level]
    if len(found) > points:
        width = max((until - since) / points, WIDTHS[level], 1.0)
        found = means(found, width)
    series: dict[str, list[tuple[float, float]]] = {}
    for moment, values in found:
        for key, value in values.items():
            if not keys or key in keys or key.partition(".")[2] in keys:
                series.setdefault(key, []).append((moment, value))
    return NodeHistory(node=name, seconds=width, series=series)


def _level(since: float, until: float, at: float) -> int:
    """The finest one that still holds the beginning, and is not too much for a chart."""
    for level in (AS_READ, MINUTE):
        reaches = at - since <= KEPT_S[level]
        spacing = WIDTHS[level] or 5.0
        if reaches and (until - since) / spacing <= 2 * MOST_POINTS:
            return level
    return HOUR


def _rows(connection: sqlite3.Connection, node: int, level: int, since: float, until: float) -> Iterable[Point]:
    rows = connection.execute(
        "SELECT at, body FROM node_reading WHERE node_id = ? AND level = ? AND at >= ? AND at < ? ORDER BY at",
        (node, level, since, until),
    )
    for at, body in rows:
        yield at, {key: value for key, value in events.load(body).items() if isinstance(value, int | float)}
