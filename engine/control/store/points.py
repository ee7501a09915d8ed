"""Every ended run as a point: what it took and what came of it, for a picture of all runs.

A picture of 100,000 runs shows no more than it has places: SQLite keeps the newest run of each, and the best so far.
"""

from __future__ import annotations

import json
import sqlite3

from pydantic_core import to_json

from engine.contract.clock import now
from engine.contract.listing import MAX_POINTS, Price, Quality
from engine.contract.search import parse
from engine.contract.states import ENDED
from engine.control.store import run_list
from engine.control.store.run_list import Order
from engine.control.store.search_sql import Asked

COLUMNS, ROWS = 120, 80
"""Places of a picture."""
NAMES = ("uid", "name", "created", "seconds", "cost", "steps", "loss", "score", "validation_loss")
VALIDATION_LOSS = "validation_loss"
_POINTS = (
    "SELECT {more}uid, name, created, worked_seconds, run.cost, last_step, loss, score, series.min FROM run "
    "LEFT JOIN series ON series.run_id = run.id AND series.metric_id = :metric "
    "WHERE run.id IN (SELECT value FROM json_each(:ids)) ORDER BY created DESC, run.id DESC"
)
_X = {"seconds": "worked_seconds", "cost": "cost"}
_Y = {"score": "score", "loss": "loss", "validation_loss": "series.min"}
_SERIES = "LEFT JOIN series ON series.run_id = run.id AND series.metric_id = :metric"
_HUGE = "1e300"
"""Infinities and what is no number have no place in a picture."""


def _known(price: Price, quality: Quality, among: str) -> str:
    """Runs with both values."""
    x, y = _X[price], _Y[quality]
    joined = _SERIES if quality == VALIDATION_LOSS else ""
    return (
        f"SELECT run.id AS id, run.created AS created, {x} AS x, {y} AS y FROM run {joined} "
        f"WHERE {among} AND abs({x}) < {_HUGE} AND abs({y}) < {_HUGE}"
    )


def picture(
    connection: sqlite3.Connection, price: Price, quality: Quality, *, search: str = "", project: str = "",
    currency: str = "", me: str = "",
) -> bytes:  # fmt: skip
    """All that are asked for as a `RunPoints` for a picture of one value against the other, as JSON."""
    at = now()
    asked = Asked(sorted(ENDED), project, parse(search, at), me, at)
    counts = dict(connection.execute("SELECT state, n FROM run_count WHERE n > 0").fetchall())
    total = sum(counts.get(state, 0) for state in ENDED)
    values: dict[str, object] = {"metric": _metric(connection)}
    among = f"run.state IN ({','.join(repr(str(state)) for state in sorted(ENDED))}) AND run.deleting = 0"
    if search or project:
        ids, total = run_list.ids_of(connection, asked, Order("created", True, at), counts, 0, sum(counts.values()))
        among, values["ids"] = "run.id IN (SELECT value FROM json_each(:ids))", json.dumps(ids)
    sign = "" if quality == "score" else "-"
    cell = [
        f"CAST(coalesce(({one} - {one}0) / nullif({one}1 - {one}0, 0), 0) * {many} AS INT)"
        for one, many in (("x", COLUMNS), ("y", ROWS))
    ]
    rows = connection.execute(
        f"WITH known AS MATERIALIZED ({_known(price, quality, among)}), "
        "ends AS (SELECT min(x) AS x0, max(x) AS x1, min(y) AS y0, max(y) AS y1, count(*) AS every FROM known), "
        f"seen AS (SELECT id, x, y, count(*) AS n, max(created), every FROM known, ends GROUP BY {', '.join(cell)}), "
        f"raced AS (SELECT id, x, {sign}y AS y, max({sign}y) OVER "
        f"(ORDER BY x, {sign}y DESC, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM known), "
        "best AS (SELECT id, x FROM raced WHERE before IS NULL OR y > before) "
        "SELECT id, n, every, NULL AS x FROM seen UNION ALL SELECT id, NULL, NULL, x FROM best ORDER BY x",
        values,
    ).fetchall()
    stands = {row["id"]: row["n"] for row in rows if row["n"] is not None}
    best = [row["id"] for row in rows if row["n"] is None]
    found = {one["id"]: one for one in _details(connection, [*stands, *best], values["metric"])}
    chosen = [{key: value for key, value in one.items() if key != "id"} | {"n": stands.get(one["id"], 1)}
              for one in found.values()]  # fmt: skip
    answer = {
        "points": chosen, "total": total, "known": next((row["every"] for row in rows if row["n"] is not None), 0),
        "best": [found[one]["uid"] for one in best], "currency": currency,
    }  # fmt: skip
    return to_json(answer, inf_nan_mode="strings")


def _metric(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT id FROM metric WHERE name = ?", (VALIDATION_LOSS,)).fetchone()
    return row["id"] if row else None


def _details(connection: sqlite3.Connection, ids: list[int], metric: object) -> list[dict[str, object]]:
    cursor = connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute(_POINTS.format(more="run.id, "), {"ids": json.dumps(ids), "metric": metric})
    return [dict(zip(("id", *NAMES), row, strict=True)) for row in rows]


def points(
    connection: sqlite3.Connection, *, search: str = "", project: str = "", currency: str = "", me: str = ""
) -> bytes:
    """The newest of those that are asked for: a `RunPoints` as JSON, without 20,000 objects on the way."""
    at = now()
    asked = Asked(sorted(ENDED), project, parse(search, at), me, at)
    counts = dict(connection.execute("SELECT state, n FROM run_count WHERE n > 0").fetchall())
    ids, total = run_list.ids_of(connection, asked, Order("created", True, at), counts, 0, MAX_POINTS)
    cursor = connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute(_POINTS.format(more=""), {"ids": json.dumps(ids), "metric": _metric(connection)})
    found = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return to_json({"points": found, "total": total, "currency": currency}, inf_nan_mode="strings")
