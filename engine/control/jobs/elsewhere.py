"""Giving up an attempt whose node does not answer, so that its run goes on elsewhere from what was mirrored.

The old worker may well live on. It is fenced: its attempt has ended, so nothing of it is taken in any more, and as
soon as the node answers, whatever works there for the run under another lease is ended.
"""

from __future__ import annotations

import sqlite3

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.errors import Conflict, UserError
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason, Mark, RunState
from engine.control.jobs import retry, transitions
from engine.control.jobs.commands import existing, wrong_state
from engine.control.jobs.scheduler import AUTO
from engine.control.store import attempts, events, runs
from engine.control.store.database import Transaction


def target_of(connection: sqlite3.Connection, uid: str, node: str) -> RunSpec:
    """The order with which the run would go on; refused unless its node does not answer."""
    row = existing(connection, uid)
    if not RunState(row["state"]).live:
        raise wrong_state(row, "started elsewhere", "Only a run whose node does not answer can be.")
    if row["mark"] != Mark.UNREACHABLE:
        raise Conflict("run.node_answers", run=row["name"], node=row["node"])
    if node == row["node"]:
        raise Conflict("run.same_node", run=row["name"], node=node)
    spec = RunSpec.model_validate_json(row["spec"])
    if not node and spec.compute.node == AUTO:
        return spec
    return spec.model_copy(update={"compute": spec.compute.model_copy(update={"node": node or AUTO})})


def give_up(transaction: Transaction, uid: str, node: str, actor: str, keep_days: float | None) -> RunSummary:
    """End the attempt as lost; the run waits again, for another node, and begins with its last checkpoint here."""
    spec = target_of(transaction.connection, uid, node)
    row, at = existing(transaction.connection, uid), now()
    attempt_id, lease = transaction.execute(
        "SELECT id, lease FROM attempt WHERE run_id = ? AND ended IS NULL", (row["id"],)
    ).fetchone()
    # Until then it is remembered that something of it may still be there, and work.
    attempts.keep_remains(transaction, attempt_id, at, keep_days)
    error = UserError("run.given_up", node=row["node"]).body()
    transitions.move(
        transaction, row["id"], RunState.QUEUED, actor=actor, at=at, lease=lease, reason=EndReason.LOST, error=error,
        ended=row["mark_since"],
    )  # fmt: skip
    if spec.compute.node != RunSpec.model_validate_json(row["spec"]).compute.node:
        runs.replace_spec(transaction, row["id"], spec)
        events.add(transaction, "edited", {"fields": ["compute.node"]}, at=at, run_id=row["id"], actor=actor)
    retry.reset(transaction, row["id"])
    return runs.summary(transaction.connection, row["id"])


def given_up_on(connection: sqlite3.Connection, node: str) -> dict[str, str]:
    """Run to the lease that is valid now (empty: none), of all that lost an attempt on this node."""
    rows = connection.execute(
        "SELECT uid, coalesce((SELECT lease FROM attempt AS now WHERE now.run_id = run.id AND now.ended IS NULL), '') "
        "FROM attempt JOIN run ON run.id = attempt.run_id JOIN member ON member.attempt_id = attempt.id "
        "JOIN node ON node.id = member.node_id WHERE node.name = ? AND attempt.reason = ? "
        "AND attempt.ended IS NOT NULL AND remains_until IS NOT NULL GROUP BY uid",
        (node, EndReason.LOST),
    ).fetchall()
    return dict(rows)
