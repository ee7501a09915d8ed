"""What finished runs of a model took, for a forecast: steps, the time they trained, the time around it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from engine.contract.forecast import Past, Shape
from engine.control.store import events, metrics

LOOKED_AT = 60
"""The newest of a model."""
BUCKETS = 32
"""Of a curve whose mean is wanted."""
_RUNS = (
    "SELECT run.id AS run_id, run.model, run.method, run.node, run.last_step, attempt.id AS attempt_id, "
    "attempt.started, attempt.ended, attempt.first_step, attempt.device_names, attempt.spec, attempt.n, "
    "(SELECT tokens FROM memory WHERE memory.attempt_id = attempt.id) AS tokens, "
    "(SELECT devices FROM member WHERE member.attempt_id = attempt.id AND rank = 0) AS devices "
    "FROM run JOIN attempt ON attempt.run_id = run.id AND attempt.n = run.attempt "
    "WHERE run.deleting = 0 AND run.model = ? AND run.state = 'completed' AND run.kind = 'train' "
    "AND run.last_step IS NOT NULL AND attempt.first_step IS NOT NULL AND attempt.ended IS NOT NULL "
    "ORDER BY run.created DESC LIMIT ?"
)
_PHASES = (
    "SELECT json_extract(body, '$.phase') AS phase, min(at) AS first FROM event "
    "WHERE run_id = ? AND attempt_id = ? AND kind = 'phase' GROUP BY 1"
)
AFTER = ("saving", "evaluating_after")


def past(connection: sqlite3.Connection, model: str) -> list[Past]:
    """The newest first. Of a run that was paused or moved its last attempt counts, with its own steps."""
    rows = connection.execute(_RUNS, (model, LOOKED_AT)).fetchall()
    return [found for row in rows if (found := _past(connection, row)) is not None]


def _past(connection: sqlite3.Connection, row: sqlite3.Row) -> Past | None:
    phases = dict(connection.execute(_PHASES, (row["run_id"], row["attempt_id"])).fetchall())
    begun = phases.get("training")
    over = min((phases[name] for name in AFTER if name in phases), default=row["ended"])
    steps, whole = row["last_step"] - row["first_step"] + 1, row["ended"] - row["started"]
    if begun is None or steps < 1 or not 0 < over - begun <= whole:
        return None  # clocks that were set, or a journal of an older form
    shape = _shape(row)
    if shape is None:
        return None
    around, watts = max(0.0, whole - (over - begun)), _watts(connection, row["run_id"], row["n"], shape.gpus)
    return Past(shape, steps, over - begun, around, row["tokens"] or None, watts)


def _watts(connection: sqlite3.Connection, run_id: int, attempt: int, gpus: int) -> float | None:
    """The mean each GPU drew in an attempt, summed; None where one of them was not read."""
    found: list[float] = []
    if not gpus:
        return None
    named = connection.execute(
        "SELECT metric.name FROM series JOIN metric ON metric.id = series.metric_id "
        "WHERE run_id = ? AND metric.name GLOB 'gpu[0-9]*.power'", (run_id,),
    ).fetchall()  # fmt: skip
    for one in metrics.view(connection, run_id, [name for (name,) in named], BUCKETS) if named else ():
        mine = one.buckets[one.attempt == attempt]
        weights = mine["n"].astype(float)
        if weights.sum():
            found.append(float((mine["mean"] * weights).sum() / weights.sum()))
    return sum(found) if len(found) == gpus else None


def _shape(row: sqlite3.Row) -> Shape | None:
    job: dict[str, Any] = json.loads(row["spec"]).get("job", {})
    training, data = job.get("training", {}), job.get("data", {})
    gpus = [device for device in events.load(row["devices"] or "[]") if device != "cpu"]
    names = events.load(row["device_names"]) if row["device_names"] else {}
    device = next((str(name) for key, name in sorted(names.items()) if key.startswith("gpu")), "") if gpus else ""
    try:
        rows = int(training["micro_batch_size"]) * int(training["accumulation"])
        return Shape(row["model"], row["method"], row["node"], device, len(gpus), rows, int(data["max_length"]))
    except (KeyError, TypeError, ValueError):
        return None
