"""Runs in the history: making one, and what a list shows of it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.datasets import ImportJob
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.search_filter import search_text
from engine.contract.serving import ServeJob
from engine.contract.states import EndReason, Mark, Phase, RunState
from engine.control.store import events, lineage, params
from engine.control.store.database import Transaction

SHOWN = (
    "id, uid, name, project, owner, kind, lane, state, reason, error, priority, model, dataset, method, tags, created, "
    "started, finished, attempt, phase, last_step, total_steps, loss, pace, node, sparkline, mark, pinned, retries, "
    "retry_at, expires, cleaned, worked_seconds, working_since, price, cost, score, mark_since, currency, "
    "tokens_seen"
)
SECONDS = "worked_seconds + max(0.0, coalesce(:now - working_since, 0.0))"
"""Time of all attempts up to now, in SQL, as `worked` has it."""
COST = (
    "CASE WHEN working_since IS NULL OR price IS NULL THEN cost "
    "ELSE coalesce(cost, 0.0) + max(0.0, :now - working_since) * price / 3600.0 END"
)
"""The cost of them, in SQL, as `worked` has it."""


def described(spec: RunSpec) -> tuple[str, str, str]:
    """Model, dataset and method in the words of a list."""
    job = spec.job
    if isinstance(job, ImportJob):
        return "", job.dataset, spec.kind
    if isinstance(job, SampleJob):
        return _model_name(job.model), job.dataset, spec.kind
    if isinstance(job, ServeJob):
        return _model_name(job.model), "", spec.kind
    if not isinstance(job, TrainJob):
        return "", "", spec.kind
    names = [
        source.path.rstrip("/").rpartition("/")[2] if source.hub == "local" else source.path
        for source in job.data.train
    ]
    return _model_name(job.model), ", ".join(names), f"{job.stage} {job.tuner.kind}"


def _model_name(model: ModelConfig) -> str:
    """A folder's own name; of a hub the whole."""
    return model.path.rstrip("/").rpartition("/")[2] if model.hub == "local" else model.path


def insert(transaction: Transaction, uid: str, spec: RunSpec, owner: str, at: float) -> int:
    """A new draft."""
    model, dataset, method = described(spec)
    row = transaction.execute(
        "INSERT INTO run(uid, kind, lane, name, project, owner, state, priority, model, dataset, method, created, "
        "spec_hash, tags) VALUES (?,?,?,?,?,?,'draft',?,?,?,?,?,?,?)",
        (
            *(uid, spec.kind, spec.lane, spec.name, spec.project, spec.owner or owner, spec.priority),
            *(model, dataset, method, at, spec.sha256(), events.dump(spec.tags)),
        ),
    )
    run_id = int(row.lastrowid or 0)
    transaction.execute("INSERT INTO run_spec VALUES (?, ?)", (run_id, spec.model_dump_json()))
    _name(transaction, run_id, spec)
    _describe(transaction, run_id, spec)
    return run_id


def _describe(transaction: Transaction, run_id: int, spec: RunSpec) -> None:
    """What can be compared and followed from run to run."""
    params.store(transaction, run_id, spec)
    lineage.store_inputs(transaction, run_id, spec)


def _name(transaction: Transaction, run_id: int, spec: RunSpec) -> None:
    """What can be searched."""
    model, dataset, _ = described(spec)
    text = search_text(spec.name, model, dataset, spec.tags)
    transaction.execute("INSERT OR REPLACE INTO run_search VALUES (?, ?)", (run_id, text))
    transaction.execute("DELETE FROM run_tag WHERE run_id = ?", (run_id,))
    transaction.connection.executemany(
        "INSERT INTO run_tag(tag, run_id) VALUES (?, ?)",
        ((tag, run_id) for tag in {tag.casefold() for tag in spec.tags}),
    )


def replace_spec(transaction: Transaction, run_id: int, spec: RunSpec) -> None:
    """Give a run another spec; what a list shows follows it."""
    model, dataset, method = described(spec)
    row = transaction.one("SELECT spec FROM run_spec WHERE run_id = ?", (run_id,))
    same_job = row is not None and RunSpec.model_validate_json(row["spec"]).job == spec.job
    transaction.execute(
        "UPDATE run SET kind=?, lane=?, name=?, project=?, priority=?, model=?, dataset=?, method=?, "
        "spec_hash=?, tags=? WHERE id=?",
        (
            *(spec.kind, spec.lane, spec.name, spec.project, spec.priority, model, dataset, method),
            *(spec.sha256(), events.dump(spec.tags), run_id),
        ),
    )
    transaction.execute("UPDATE run_spec SET spec = ? WHERE run_id = ?", (spec.model_dump_json(), run_id))
    _name(transaction, run_id, spec)
    if not same_job:  # of a new name, tag or priority nothing else follows
        _describe(transaction, run_id, spec)


def find(connection: sqlite3.Connection, uid: str) -> sqlite3.Row | None:
    """The whole row of a run that is not being deleted."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT run.*, spec FROM run JOIN run_spec ON run_id = id WHERE uid = ? AND deleting = 0", (uid,)
    ).fetchone()
    return row


def summary(connection: sqlite3.Connection, run_id: int) -> RunSummary:
    """A run as a list shows it."""
    return from_row(connection.execute(f"SELECT {SHOWN} FROM run WHERE id = ?", (run_id,)).fetchone())


def from_row(row: sqlite3.Row, at: float | None = None) -> RunSummary:
    """The same, from a row that was read already."""
    seconds, cost = worked(row, now() if at is None else at)
    return RunSummary(
        uid=row["uid"],
        name=row["name"],
        project=row["project"],
        owner=row["owner"],
        kind=row["kind"],
        lane=row["lane"],
        state=RunState(row["state"]),
        reason=EndReason(row["reason"]) if row["reason"] else None,
        priority=row["priority"],
        model=row["model"],
        dataset=row["dataset"],
        method=row["method"],
        tags=json.loads(row["tags"]),
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        attempt=row["attempt"],
        phase=Phase(row["phase"]) if row["phase"] else None,
        step=row["last_step"],
        total_steps=row["total_steps"],
        loss=row["loss"],
        eta_seconds=_eta(row),
        node=row["node"],
        sparkline=_sparkline(row["sparkline"]),
        error=ErrorBody.model_validate_json(row["error"]) if row["error"] else None,
        mark=Mark(row["mark"]) if row["mark"] else None,
        mark_since=row["mark_since"],
        pinned=bool(row["pinned"]),
        retries=row["retries"],
        retry_at=row["retry_at"],
        expires=row["expires"],
        cleaned=row["cleaned"],
        seconds=seconds,
        cost=cost,
        currency=row["currency"] or "",
        score=row["score"],
        tokens_seen=row["tokens_seen"],
    )


def worked(row: sqlite3.Row, at: float) -> tuple[float, float | None]:
    """Time that all attempts took until then, the live one among them, and what that cost where it is known."""
    seconds, cost = float(row["worked_seconds"]), row["cost"]
    if row["working_since"] is None:
        return seconds, cost
    live = max(0.0, at - row["working_since"])
    if row["price"] is not None:
        cost = (cost or 0.0) + live * row["price"] / 3600.0
    return seconds + live, cost


def begin_work(transaction: Transaction, run_id: int, at: float, price: float | None, currency: str = "") -> None:
    """An attempt has begun; its place has this price for an hour, in this currency (empty: that of the settings).

    Sums of two currencies mean nothing: in another one the run's own cost begins anew. The attempts know it all.
    """
    transaction.execute("UPDATE run SET working_since = ?, price = ? WHERE id = ?", (at, price, run_id))
    if price is not None:
        transaction.execute(
            "UPDATE run SET cost = CASE WHEN coalesce(currency, '') = :currency THEN cost END, "
            "currency = nullif(:currency, '') WHERE id = :id",
            {"currency": currency, "id": run_id},
        )


def end_work(transaction: Transaction, run_id: int, at: float) -> None:
    """It has ended: its time and cost are the run's for good."""
    row = transaction.one("SELECT worked_seconds, working_since, price, cost FROM run WHERE id = ?", (run_id,))
    if row is not None:
        transaction.execute(
            "UPDATE run SET worked_seconds = ?, cost = ?, working_since = NULL, price = NULL WHERE id = ?",
            (*worked(row, at), run_id),
        )


def set_prices(transaction: Transaction, prices: Mapping[str, float], usual: str = "") -> None:
    """Runs at work cost what their node, else their lane, costs from now on; what has ended keeps its cost."""
    rows = transaction.execute(
        "SELECT run.id, lane, attempt.id AS attempt_id, json_extract(node.profile, '$.price') AS price, "
        "coalesce(json_extract(node.profile, '$.currency'), '') AS currency, (SELECT count(*) FROM device_lease "
        "WHERE attempt_id = attempt.id AND device != 'cpu') AS gpus FROM run "
        "LEFT JOIN attempt ON attempt.run_id = run.id AND attempt.ended IS NULL LEFT JOIN node ON node.name = run.node "
        "WHERE working_since IS NOT NULL"
    ).fetchall()
    for row in rows:
        price, currency = prices.get(row["lane"]), ""
        if row["price"] is not None:
            price, currency = hourly(row["price"], row["gpus"]), row["currency"]
        transaction.execute("UPDATE run SET price = ? WHERE id = ?", (price, row["id"]))
        transaction.execute(
            "UPDATE attempt SET price = ?, currency = ? WHERE id = ?", (price, currency or usual, row["attempt_id"])
        )
        if price is not None:
            shown = "" if currency == usual else currency
            transaction.execute("UPDATE run SET currency = nullif(?, '') WHERE id = ?", (shown, row["id"]))


def hourly(price: float, gpus: int) -> float:
    """Of an attempt on a node whose GPU, or itself where it has none, has this price."""
    return price * max(1, gpus)


def _eta(row: sqlite3.Row) -> float | None:
    if row["state"] != RunState.RUNNING or not row["pace"] or not row["total_steps"]:
        return None
    return float(max(0, row["total_steps"] - (row["last_step"] or 0)) * row["pace"])


def _sparkline(stored: str) -> list[float]:
    values = json.loads(stored)["values"] if stored else []
    return [value for value in values if value is not None and math.isfinite(value)]
