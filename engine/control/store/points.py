"""Every ended run as a point: what it took and what came of it, for a picture of all runs."""

from __future__ import annotations

import json
import sqlite3

from pydantic_core import to_json

from engine.contract.clock import now
from engine.contract.listing import MAX_POINTS
from engine.contract.search import parse
from engine.contract.states import ENDED
from engine.control.store import run_list
from engine.control.store.run_list import Order
from engine.control.store.search_sql import Asked

NAMES = ("uid", "name", "created", "seconds", "cost", "steps", "loss", "score", "validation_loss")
VALIDATION_LOSS = "validation_loss"
_POINTS = (
    "SELECT uid, name, created, worked_seconds, run.cost, last_step, loss, score, series.min FROM run "
    "LEFT JOIN series ON series.run_id = run.id AND series.metric_id = :metric "
    "WHERE run.id IN (SELECT value FROM json_each(:ids)) ORDER BY created DESC, run.id DESC"
)


def points(
    connection: sqlite3.Connection, *, search: str = "", project: str = "", currency: str = "", me: str = ""
) -> bytes:
    """The newest of those that are asked for: a `RunPoints` as JSON, without 20,000 objects on the way."""
    at = now()
    asked = Asked(sorted(ENDED), project, parse(search, at), me, at)
    counts = dict(connection.execute("SELECT state, n FROM run_count WHERE n > 0").fetchall())
    ids, total = run_list.ids_of(connection, asked, Order("created", True, at), counts, 0, MAX_POINTS)
    metric = connection.execute("SELECT id FROM metric WHERE name = ?", (VALIDATION_LOSS,)).fetchone()
    cursor = connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute(_POINTS, {"ids": json.dumps(ids), "metric": metric["id"] if metric else None})
    found = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return to_json({"points": found, "total": total, "currency": currency}, inf_nan_mode="strings")
