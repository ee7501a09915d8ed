"""One deed for many runs: each as if it had been asked for alone, some in each transaction, none in the others' way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.contract.api import EditRun, RunSummary
from engine.contract.errors import Problem, UserError
from engine.contract.listing import BulkRefusal, BulkRequest, BulkResult
from engine.contract.run_spec import RunSpec
from engine.control.jobs import commands, dataset_pins
from engine.control.jobs.requests import Request, once
from engine.control.store import runs
from engine.control.store.database import Transaction

CHUNK = 20
"""So many runs a transaction: others come in between, and a disk is waited for fewer times."""
Work = Callable[[Transaction], Any]
_VERBS = {"stop": "stop", "stop_without_saving": "stop", "pause": "pause", "delete": "delete", "start": "start"}


def request_for(body: BulkRequest, request: Request, uid: str) -> Request:
    """What somebody would have asked who wanted it of this run alone; done once, however often the whole is asked."""
    content = {
        "stop": "True", "stop_without_saving": "False", "tag": f"tag {body.tags}", "untag": f"untag {body.tags}",
        "pin": "pin", "unpin": "unpin", "priority": f"priority {body.priority}",
    }.get(body.deed, "")  # fmt: skip
    key = f"{request.key}/{uid}" if request.key else None
    return Request(_VERBS.get(body.deed, "edit"), request.actor, key, uid, content)


def work_of(body: BulkRequest, uid: str, actor: str) -> Work:
    """The deed, for one run. What is to be started is looked at with its files before."""
    match body.deed:
        case "start":
            return lambda t: commands.start(t, uid, actor)
        case "stop" | "stop_without_saving":
            save = body.deed == "stop"
            return lambda t: commands.stop(t, uid, save, actor)
        case "pause":
            return lambda t: commands.pause(t, uid, actor)
        case "delete":
            return lambda t: commands.mark_deleted(t, uid)
        case "tag" | "untag":
            return lambda t: _tagged(t, uid, body, actor)
        case "pin" | "unpin":
            return lambda t: commands.edit(t, uid, EditRun(pinned=body.deed == "pin"), actor)
        case _:
            return lambda t: commands.edit(t, uid, EditRun(priority=body.priority), actor)


def _tagged(transaction: Transaction, uid: str, body: BulkRequest, actor: str) -> RunSummary:
    run = runs.summary(transaction.connection, commands.existing(transaction.connection, uid)["id"])
    named = list(dict.fromkeys(body.tags))
    if body.deed == "tag":
        tags = run.tags + [tag for tag in named if tag not in run.tags]
    else:
        tags = [tag for tag in run.tags if tag not in named]
    return run if tags == run.tags else commands.edit(transaction, uid, EditRun(tags=tags), actor)


def specs_of(connection: sqlite3.Connection, uids: Sequence[str]) -> tuple[dict[str, RunSpec], dict[str, UserError]]:
    """What runs were asked to do; and those that are not there."""
    specs, missing = dict[str, RunSpec](), dict[str, UserError]()
    for uid in uids:
        try:
            spec = RunSpec.model_validate_json(commands.existing(connection, uid)["spec"])
            specs[uid] = dataset_pins.settled(connection, spec)[0]
        except UserError as error:
            missing[uid] = error
    return specs, missing


def not_runnable(
    specs: Mapping[str, RunSpec], asked_of_nodes: Callable[[RunSpec], Sequence[Problem]]
) -> dict[str, UserError]:
    """Those that could not run. Waits for files: call it on a thread."""
    refused = dict[str, UserError]()
    for uid, spec in specs.items():
        try:
            commands.refuse_unless_runnable(spec, asked_of_nodes(spec))
        except UserError as error:
            refused[uid] = error
    return refused


def each(transaction: Transaction, asked: Mapping[str, tuple[Request, Work]]) -> dict[str, UserError]:
    """Do the works in one transaction; what is refused leaves nothing and harms no other. Who was refused, and why."""
    refused: dict[str, UserError] = {}
    for uid, (request, work) in asked.items():
        said = len(transaction.news)
        transaction.execute("SAVEPOINT deed")
        try:
            once(transaction, request, work)
        except UserError as error:
            transaction.execute("ROLLBACK TO deed")
            del transaction.news[said:]
            refused[uid] = error
        transaction.execute("RELEASE deed")
    return refused


def result(connection: sqlite3.Connection, uids: list[str], refused: Mapping[str, UserError]) -> BulkResult:
    """What became of each, in the order they were named."""
    names = {uid: _name(connection, uid) for uid in refused}
    return BulkResult(
        done=[uid for uid in uids if uid not in refused],
        refused=[
            BulkRefusal(uid=uid, name=names[uid], error=refused[uid].body()) for uid in uids if uid in refused
        ],
    )  # fmt: skip


def _name(connection: sqlite3.Connection, uid: str) -> str:
    row = connection.execute("SELECT name FROM run WHERE uid = ? AND deleting = 0", (uid,)).fetchone()
    return row["name"] if row else ""
