"""Where a run goes and why, or why it waits, as an answer for people."""

from __future__ import annotations

import sqlite3

from engine.contract.network import models_of, network_of
from engine.contract.nodes import PlacementAnswer
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.contract.states import RunState
from engine.control.jobs import queue
from engine.control.jobs.commands import existing
from engine.control.jobs.need import recipe_of
from engine.control.jobs.queue import Terms
from engine.control.jobs.scheduler import Choice, Demand, choose
from engine.control.store import events, moves

_AHEAD = (
    "SELECT count(*) FROM run WHERE state = 'queued' AND deleting = 0 AND retry_at IS NULL AND lane = :lane AND "
    f"id NOT IN ({moves.UNDER_WAY}) AND "
    "(priority > :priority OR priority = :priority AND (queue_rank, id) < (:rank, :id))"
)


def of_order(connection: sqlite3.Connection, spec: RunSpec, terms: Terms) -> PlacementAnswer:
    """Where it would go if it were started now."""
    demand = Demand(spec.compute, spec.lane, terms.need(recipe_of(spec)))
    loads = queue.with_data(connection, _names(spec), queue.loads(connection))
    return with_network(choose(demand, terms.offers, loads).answer(), spec)


def with_network(answer: PlacementAnswer, spec: RunSpec) -> PlacementAnswer:
    """And which network a container of it would see."""
    code, params = network_of(spec)
    return answer.model_copy(update={"network": code, "network_params": params})


def of_run(connection: sqlite3.Connection, uid: str, terms: Terms, at: float) -> PlacementAnswer:
    """Why a run is where it is, would go where it would go, or waits."""
    row = existing(connection, uid)
    return with_network(_of_run(connection, row, terms, at), RunSpec.model_validate_json(row["spec"]))


def _of_run(connection: sqlite3.Connection, row: sqlite3.Row, terms: Terms, at: float) -> PlacementAnswer:
    if RunState(row["state"]).live:
        return _at_work(connection, row)
    demanded = queue.demanded(connection, row["id"])
    choice = queue.look(connection, demanded, terms)
    if row["state"] == RunState.QUEUED:
        return _waiting(connection, row, choice, terms, at)
    return choice.answer()


def _at_work(connection: sqlite3.Connection, row: sqlite3.Row) -> PlacementAnswer:
    note = connection.execute(
        "SELECT event.body FROM event JOIN attempt ON attempt.id = event.attempt_id WHERE event.run_id = ? "
        "AND attempt.ended IS NULL AND event.kind = 'note' AND json_extract(event.body, '$.code') GLOB 'placement.*' "
        "ORDER BY cursor DESC LIMIT 1",
        (row["id"],),
    ).fetchone()
    if note is None:
        return PlacementAnswer(node=row["node"], code="placement.at_work", params={"node": row["node"]})
    body = events.load(note[0])
    return PlacementAnswer(node=row["node"], code=body["code"], params=body["params"])


def _waiting(
    connection: sqlite3.Connection, row: sqlite3.Row, choice: Choice, terms: Terms, at: float
) -> PlacementAnswer:
    """What stands in the way of a run in the queue besides the nodes: its own wait, its owner's limit, those before."""
    answer = choice.answer()
    move = moves.of_run(connection, row["id"])
    if move is not None:
        return _held(answer, "placement.moving", node=move.view.target)
    if row["retry_at"] is not None:
        seconds = round(max(0.0, row["retry_at"] - at))
        return _held(answer, "placement.retry", seconds=seconds)
    if row["owner"] in queue.owners_at_limit(connection, terms.owner_limit):
        return _held(answer, "placement.owner_limit", owner=row["owner"], limit=terms.owner_limit or 0)
    if choice.offer is None:
        return answer
    place = {"lane": row["lane"], "priority": row["priority"], "rank": row["queue_rank"], "id": row["id"]}
    ahead = connection.execute(_AHEAD, place).fetchone()[0]
    return _held(answer, "placement.behind", ahead=ahead) if ahead else answer


def _held(answer: PlacementAnswer, code: str, **params: object) -> PlacementAnswer:
    return answer.model_copy(update={"node": None, "code": code, "params": params})


def _names(spec: RunSpec) -> list[str]:
    job = spec.job
    if isinstance(job, SampleJob):
        return [job.model.path, job.source.version or job.source.path]
    if isinstance(job, ServeJob):
        return [job.model.path]
    if not isinstance(job, TrainJob):
        return []
    models = [source.path for source in models_of(job)]
    return [*models, *(source.version or source.path for source in (*job.data.train, *job.data.validation))]
