"""Memory of attempts: what was forecast and measured before, what it was, and what that tells the next."""

from __future__ import annotations

import json
import sqlite3
import statistics
from typing import Any

from engine.contract.calibration import Calibration
from engine.contract.events import MemoryFact, MemoryForecast
from engine.contract.ladder import Known, Rung, lowered
from engine.contract.ladder import rungs as rungs_of
from engine.contract.run_spec import RunSpec, TrainJob
from engine.control.store import events
from engine.control.store.database import Transaction

LOOKED_AT = 40
"""The newest attempts that a calibration is taken from."""
TAKEN = 5
"""Of those that are like it, so many."""
RUNS = 20
"""The error is that of so many of the newest runs."""
_LIKE = (
    "SELECT memory.*, run.model, run.method, run.dataset, run.node, "
    "json_extract(attempt.spec, '$.job.data.max_length') AS max_length, "
    "json_extract(attempt.spec, '$.job.training.gradient_checkpointing') AS checkpointing, "
    "json_extract(attempt.spec, '$.job.model.attention') AS attention "
    "FROM memory JOIN run ON run.id = memory.run_id JOIN attempt ON attempt.id = memory.attempt_id "
    "WHERE run.deleting = 0 AND (run.model = :model OR run.node = :node) AND memory.device = :device "
    "ORDER BY memory.attempt_id DESC LIMIT :most"
)
_ERRORS = (
    "SELECT forecast, peak FROM memory JOIN run ON run.id = memory.run_id AND run.deleting = 0 "
    "WHERE peak IS NOT NULL AND attempt_id = (SELECT max(attempt_id) FROM memory AS other "
    "WHERE other.run_id = memory.run_id AND other.peak IS NOT NULL) ORDER BY attempt_id DESC LIMIT ?"
)


def foretold(transaction: Transaction, run_id: int, attempt_id: int, line: MemoryForecast) -> None:
    """Keep what a worker expects; an attempt that says it again means it anew."""
    comparable = line.total if line.device == "cpu" else line.tensors
    body = line.model_dump(
        mode="json", include={"parts", "rows", "width", "trained", "process", "factor", "shape", "beside", "optimizers"}
    )
    transaction.execute(
        "INSERT OR REPLACE INTO memory(attempt_id, run_id, at, device, forecast, measured, corrected, body) "
        "VALUES (?,?,?,?,?,?,?,?)",
        (attempt_id, run_id, line.t, line.device, comparable, line.measured, line.corrected, events.dump(body)),
    )


def told(transaction: Transaction, attempt_id: int, line: MemoryFact) -> None:
    """Keep what it was."""
    transaction.execute(
        "UPDATE memory SET peak = ?, seconds = ?, tokens = ?, steps = ? WHERE attempt_id = ?",
        (line.peak, line.seconds, line.tokens, line.steps, attempt_id),
    )


def errors(connection: sqlite3.Connection) -> list[float]:
    """How far the forecasts of the last runs were off, as shares, the newest first."""
    rows = connection.execute(_ERRORS, (RUNS,)).fetchall()
    return [abs(row["forecast"] / row["peak"] - 1) for row in rows if row["peak"] > 0]


def calibration(
    connection: sqlite3.Connection,
    model: str,
    method: str,
    dataset: str,
    node: str,
    device: str,
    job: dict[str, Any],
) -> Calibration:
    """What attempts like it tell: of the same model and method, there, with the same rows."""
    asked = {"model": model, "node": node, "device": device, "most": LOOKED_AT}
    rows = connection.execute(_LIKE, asked).fetchall()
    wanted = bool(job["training"]["gradient_checkpointing"])
    alike = [row for row in rows if row["model"] == model and row["method"] == method
             and bool(row["checkpointing"]) == wanted and row["attention"] == job["model"]["attention"]]  # fmt: skip
    factors = [_body(row)["factor"] for row in alike if row["measured"] is not None][:TAKEN]
    there = [row for row in rows if row["node"] == node]
    processes = [_body(row)["process"] for row in there][:TAKEN] if device == "cpu" else []
    held = [share for row in there if bool(row["checkpointing"]) == wanted and (share := _held(row))][:TAKEN]
    width, trained = _longest(rows, model, dataset, int(job["data"]["max_length"]))
    return Calibration(
        factor=statistics.median(factors) if factors else 1.0,
        process=round(statistics.median(processes)) if processes else None,
        held=statistics.median(held) if held else None, width=width, trained=trained,
    )  # fmt: skip


def of_run(connection: sqlite3.Connection, run_id: int) -> sqlite3.Row | None:
    """What is known of its latest attempt that said something."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM memory WHERE run_id = ? ORDER BY attempt_id DESC LIMIT 1", (run_id,)
    ).fetchone()
    return row


def known(connection: sqlite3.Connection, run_id: int) -> Known:
    """What is known of a run whose memory ran out."""
    row = of_run(connection, run_id)
    return Known() if row is None else Known.model_validate({**_body(row), "device": row["device"]} | _shape(row))


def _shape(row: sqlite3.Row) -> dict[str, Any]:
    return {"shape": _body(row).get("shape") or None}


def taken(connection: sqlite3.Connection, run_id: int) -> list[Rung]:
    """Rungs the run went down, in their order."""
    row = connection.execute("SELECT rungs FROM run WHERE id = ?", (run_id,)).fetchone()
    return [Rung.model_validate(one) for one in json.loads(row["rungs"])] if row is not None else []


def take(transaction: Transaction, run_id: int, rung: Rung) -> None:
    """Go down one more: attempts from now on are carried out so."""
    rungs = [*taken(transaction.connection, run_id), rung]
    text = events.dump([one.model_dump(mode="json") for one in rungs])
    transaction.execute("UPDATE run SET rungs = ? WHERE id = ?", (text, run_id))


def offered(connection: sqlite3.Connection, run_id: int, spec: RunSpec) -> list[Rung]:
    """What is left to be lowered."""
    job = lowered(spec, taken(connection, run_id)).job
    told = known(connection, run_id).model_copy(update={"place": spec.compute})
    return rungs_of(job, told) if isinstance(job, TrainJob) else []


def _body(row: sqlite3.Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["body"])
    return found


def _held(row: sqlite3.Row) -> float | None:
    """Bytes of the process for a byte of tensors beside the weights."""
    body = _body(row)
    weights = body["parts"].get("weights", 0) + body["parts"].get("adapter", 0)
    if row["device"] != "cpu" or row["peak"] is None or row["measured"] is None or row["measured"] <= weights:
        return None
    return float(max(1.0, (row["peak"] - body["process"] - weights) / (row["measured"] - weights)))


def _longest(rows: list[sqlite3.Row], model: str, dataset: str, max_length: int) -> tuple[int | None, float | None]:
    """Of the longest row, and what is learned of its batch; what was cut says nothing about a larger limit."""
    for row in rows:
        body = _body(row)
        uncut = body["width"] < (row["max_length"] or 0) or max_length <= body["width"]
        if dataset and row["model"] == model and row["dataset"] == dataset and uncut:
            return min(body["width"], max_length), body["trained"]
    return None, None
