"""What a run page shows of a run."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from engine.contract.api import RunDetail, SampleInfo, ScoreInfo
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason
from engine.control.store import artifacts, attempts, events, memory, metrics, runs

MOST_AT_CHECKPOINTS = 1000


def detail(connection: sqlite3.Connection, run_id: int) -> RunDetail:
    """Everything about a run besides curves and log."""
    row = connection.execute(
        "SELECT run.*, spec FROM run JOIN run_spec ON run_id = id WHERE id = ?", (run_id,)
    ).fetchone()
    last = connection.execute(
        "SELECT id, device_names FROM attempt WHERE run_id = ? ORDER BY n DESC LIMIT 1", (run_id,)
    ).fetchone()
    spec, ran_out = RunSpec.model_validate_json(row["spec"]), row["reason"] == EndReason.OUT_OF_MEMORY
    return RunDetail(
        run=runs.from_row(row),
        spec=spec,
        attempts=attempts.of_run(connection, run_id),
        series=metrics.series(connection, run_id),
        scores=[ScoreInfo(**body) for body in _newest(connection, run_id, "score")],
        samples=[SampleInfo(**body) for body in _newest(connection, run_id, "sample")],
        artifacts=artifacts.results(connection, run_id),
        checkpoints=artifacts.checkpoints(connection, run_id),
        rungs=memory.offered(connection, run_id, spec) if ran_out else [],
        lowered=memory.taken(connection, run_id),
        events=events.of_run(connection, run_id),
        device_names=json.loads(last["device_names"] or "{}") if last else {},
        submit_to_first_step_s=_waited(row),
        cursor=events.latest(connection),
    )


def _newest(connection: sqlite3.Connection, run_id: int, kind: str) -> list[dict[str, Any]]:
    """Of before and after, those of the latest attempt that has any; a resumed one does not measure "before" again.

    Answers somebody asked for during training are all kept, of those at checkpoints the last thousand.
    """
    rows = connection.execute(
        "SELECT attempt_id, body FROM event WHERE run_id = ? AND kind = ? ORDER BY cursor", (run_id, kind)
    ).fetchall()
    found = [(row["attempt_id"], json.loads(row["body"])) for row in rows]
    latest: dict[str, int] = {}
    for attempt, body in found:
        latest[body["when"]] = max(attempt, latest.get(body["when"], 0))
    at_checkpoints = sum(body["when"] == "checkpoint" for _attempt, body in found)
    kept = []
    for attempt, body in found:
        if body["when"] == "checkpoint":
            at_checkpoints -= 1
        if body["when"] == "now" or (
            at_checkpoints < MOST_AT_CHECKPOINTS if body["when"] == "checkpoint" else latest[body["when"]] == attempt
        ):
            kept.append(body)
    return kept


def _waited(row: sqlite3.Row) -> float | None:
    """From the wish to start until the first step."""
    if row["queued"] is None or row["first_step"] is None:
        return None
    return float(max(0.0, row["first_step"] - row["queued"]))
