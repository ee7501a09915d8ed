"""Who goes next: by lane, priority, then place; on a node that can take it, on devices that are free.

A run that no node can take now holds up nobody who could start elsewhere. It is not overtaken either where it
waits for a GPU: nobody who came later may make one fuller there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from engine.contract.checkpoints import ResumePoint
from engine.contract.compute import Placement
from engine.contract.ids import new_lease
from engine.contract.ladder import lowered
from engine.contract.nodes import LOCAL
from engine.contract.run_spec import RunSpec
from engine.contract.states import LIVE, EndReason, Lane, RunState
from engine.contract.stream import RunEvent
from engine.control.jobs import next_start, transitions
from engine.control.jobs.scheduler import AUTO, CPU, Choice, Demand, Load, Offer, choose
from engine.control.store import attempts, events, memory, moves, node_cache, runs
from engine.control.store.database import Transaction

ACTOR = "queue"
DEFAULT_SLOTS = {Lane.CPU: 4, Lane.LIGHT: 8}
ORDER = "priority DESC, queue_rank, id"
"""Of the runs of a lane that wait, but for those that wait for a retry."""
Model = tuple[str | None, str | None, str | None]
"""Hub, path and revision."""
_LIVE = ",".join(f"'{state}'" for state in sorted(LIVE))
_DEMAND = (
    "run.id, uid, owner, lane, json_extract(spec, '$.compute') AS compute, "
    "CASE run.kind WHEN 'train' THEN json_array(json_extract(spec, '$.job.model'), json_extract(spec, '$.job.tuner'), "
    "json_extract(spec, '$.job.training'), json_extract(spec, '$.job.scratch'), json_extract(spec, '$.compute')) "
    "WHEN 'sample' THEN json_array(json_extract(spec, '$.job.model'), NULL, NULL, NULL, "
    "json_extract(spec, '$.compute')) ELSE '' END AS recipe"
)


_INPUTS = (
    "SELECT CASE WHEN kind = 'dataset' AND EXISTS (SELECT 1 FROM dataset_version WHERE dataset_version.hash = "
    "lineage.hash) THEN hash ELSE name END FROM lineage WHERE run_id = ? AND role = 'input' AND name IS NOT NULL"
)
"""What nodes know copies by: the fingerprint of a version of the library, the name of all else."""


def _unknown(_recipe: str) -> int | None:
    return None


@dataclass(frozen=True)
class Terms:
    """What counts besides the history: the nodes as they are, prices, limits, what runs need."""

    offers: Sequence[Offer]
    prices: Mapping[str, float] = field(default_factory=dict)
    currency: str = ""
    """Of the prices of lanes."""
    owner_limit: int | None = None
    need: Callable[[str], int | None] = _unknown
    """Bytes a run takes of a GPU at the least, by its recipe (model, tuner, training); nothing is waited for."""


@dataclass(frozen=True)
class Claim:
    """A run that was taken from the queue and given a new attempt, a node and its devices."""

    run_id: int
    uid: str
    attempt_id: int
    n: int
    lease: str
    spec: RunSpec
    devices: list[str]
    resume: list[ResumePoint] = field(default_factory=list)
    resume_required: bool = False
    node: str = LOCAL
    owner: str = ""


def slots(chosen: Mapping[str, int] | None, gpus: Sequence[str]) -> dict[str, int]:
    """Lane to number of slots: one a GPU (one on a CPU-only machine) unless chosen otherwise."""
    found = {Lane.GPU: max(1, len(gpus)), **DEFAULT_SLOTS}
    return {str(lane): max(0, (chosen or {}).get(lane, count)) for lane, count in found.items()}


def used(connection: sqlite3.Connection) -> dict[str, int]:
    """Lane to slots in use."""
    rows = connection.execute(f"SELECT lane, count(*) FROM run WHERE state IN ({_LIVE}) GROUP BY lane").fetchall()
    return {str(lane): 0 for lane in Lane} | dict(rows)


def waiting(connection: sqlite3.Connection) -> int:
    """How many runs are in the queue."""
    return int(connection.execute("SELECT count(*) FROM run WHERE state = 'queued' AND deleting = 0").fetchone()[0])


def loads(connection: sqlite3.Connection, but: int | None = None) -> dict[str, Load]:
    """Node to what is at work there, or is kept for runs that are being moved; `but` those for this run."""
    counts: dict[str, dict[str, int]] = {}
    for node, lane, count in connection.execute(
        f"SELECT node, lane, count(*) FROM run WHERE state IN ({_LIVE}) GROUP BY node, lane"
    ):
        counts.setdefault(node, {})[lane] = count
    held: dict[str, dict[str, tuple[bool, ...]]] = {}
    for node, device, shares in connection.execute(
        "SELECT node.name, device, coalesce(json_extract(attempt.spec, '$.compute.share'), 0) FROM device_lease "
        "JOIN attempt ON attempt.id = attempt_id JOIN node ON node.id = device_lease.node_id"
    ):
        devices = held.setdefault(node, {})
        devices[device] = (*devices.get(device, ()), bool(shares))
    for kept in moves.held(connection, but):
        used = counts.setdefault(kept.node, {})
        used[kept.lane] = used.get(kept.lane, 0) + 1
        for device in kept.devices:
            devices = held.setdefault(kept.node, {})
            devices[device] = (*devices.get(device, ()), False)
    return {node: Load(counts.get(node, {}), held.get(node, {})) for node in counts.keys() | held.keys()}


def take(transaction: Transaction, terms: Terms, at: float) -> Claim | None:
    """Take the first run that a node can take: it is preparing then, with an open attempt that holds its devices."""
    connection = transaction.connection
    terms = replace(terms, offers=_still_online(connection, terms.offers))
    load = loads(connection)
    full = owners_at_limit(connection, terms.owner_limit)
    for lane in Lane:
        if not any(_has_room(offer, load.get(offer.name, Load()), lane) for offer in terms.offers):
            continue
        found = _first(connection, lane, terms, load, full)
        if found is not None:
            row, choice = found
            return _claim(transaction, row, lane, choice, terms, at)
    return None


def look_for_move(connection: sqlite3.Connection, run_id: int, terms: Terms, node: str) -> Choice:
    """Whether a node (or which of those in the terms) could take a run that is to be moved now."""
    row = demanded(connection, run_id)
    load = loads(connection, run_id)
    placement = _placement(row["compute"]).model_copy(update={"node": node})
    names = [name for (name,) in connection.execute(_INPUTS, (run_id,))]
    demand = Demand(placement, row["lane"], terms.need(row["recipe"]))
    return choose(demand, terms.offers, with_data(connection, names, load, run_id))


def claim_for_move(transaction: Transaction, run_id: int, terms: Terms, node: str, at: float) -> Claim | Choice:
    """Give a run that waits its attempt on this node, past all who wait; why not, where that cannot be now."""
    choice = look_for_move(transaction.connection, run_id, terms, node)
    if choice.offer is None:
        return choice
    row = demanded(transaction.connection, run_id)
    moved = replace(choice, code="placement.moved")
    return _claim(transaction, row, Lane(row["lane"]), moved, terms, at)


def look(connection: sqlite3.Connection, row: sqlite3.Row, terms: Terms) -> Choice:
    """Where a run of the history would go now; `row` as `demanded` gives it."""
    return choose(_demand(connection, row, terms), terms.offers, _with_data(connection, row, loads(connection)))


def demanded(connection: sqlite3.Connection, run_id: int) -> sqlite3.Row:
    """What a run asks of nodes."""
    found: sqlite3.Row = connection.execute(
        f"SELECT {_DEMAND} FROM run JOIN run_spec ON run_id = run.id WHERE run.id = ?", (run_id,)
    ).fetchone()
    return found


def owners_at_limit(connection: sqlite3.Connection, limit: int | None) -> set[str]:
    """People who have as many runs at work as they may."""
    if limit is None:
        return set()
    rows = connection.execute(f"SELECT owner, count(*) FROM run WHERE state IN ({_LIVE}) GROUP BY owner")
    return {owner for owner, count in rows if count >= limit}


def _still_online(connection: sqlite3.Connection, offers: Sequence[Offer]) -> list[Offer]:
    """Without nodes that were drained or removed since they were looked at."""
    rows = connection.execute("SELECT name FROM node WHERE removed IS NULL AND state = 'online'")
    online = {name for (name,) in rows}
    return [offer for offer in offers if offer.name in online]


def _has_room(offer: Offer, load: Load, lane: Lane) -> bool:
    usable = offer.state == "online" and offer.reach == "reachable" and offer.held <= 0
    return usable and load.used.get(lane, 0) < offer.slots.get(lane, 0)


def _first(
    connection: sqlite3.Connection, lane: Lane, terms: Terms, load: Mapping[str, Load], full: set[str]
) -> tuple[sqlite3.Row, Choice] | None:
    """The first in its lane that fits somewhere. Of those that ask for the same and do not fit, one is looked at."""
    cursor = connection.execute(
        f"SELECT {_DEMAND} FROM run JOIN run_spec ON run_id = run.id "
        f"WHERE state = 'queued' AND lane = ? AND deleting = 0 AND retry_at IS NULL "
        f"AND id NOT IN ({moves.UNDER_WAY}) ORDER BY {ORDER}",
        (lane,),
    )
    in_vain: set[tuple[str, int | None]] = set()
    joinable = {offer.name for offer in terms.offers}
    try:
        for row in cursor:
            kind = (row["compute"], terms.need(row["recipe"]))
            if row["owner"] in full or kind in in_vain:
                continue
            choice = choose(
                _demand(connection, row, terms), terms.offers, _with_data(connection, row, load), joinable
            )  # fmt: skip
            if choice.offer is not None:
                return row, choice
            in_vain.add(kind)
            joinable -= choice.blocked
    finally:
        cursor.close()
    return None


def _demand(connection: sqlite3.Connection, row: sqlite3.Row, terms: Terms) -> Demand:
    placement = _placement(row["compute"])
    avoid = failed_on(connection, row["id"]) if placement.node == AUTO else ""
    return Demand(placement, row["lane"], terms.need(row["recipe"]), avoid)


@lru_cache(1000)
def _placement(text: str) -> Placement:
    return Placement.model_validate_json(text)


def failed_on(connection: sqlite3.Connection, run_id: int) -> str:
    """The node where the last attempt of a run could not start."""
    row = connection.execute(
        "SELECT node.name FROM attempt JOIN member ON member.attempt_id = attempt.id JOIN node ON node.id = node_id "
        "WHERE run_id = ? AND n = (SELECT max(n) FROM attempt WHERE run_id = ?) AND attempt.reason = ?",
        (run_id, run_id, EndReason.START_FAILED),
    ).fetchone()
    return str(row[0]) if row is not None else ""


def _with_data(connection: sqlite3.Connection, row: sqlite3.Row, load: Mapping[str, Load]) -> Mapping[str, Load]:
    if _placement(row["compute"]).node != AUTO:
        return load
    names = [name for (name,) in connection.execute(_INPUTS, (row["id"],))]
    return with_data(connection, names, load, row["id"])


def with_data(
    connection: sqlite3.Connection, names: Sequence[str], load: Mapping[str, Load], run_id: int | None = None
) -> Mapping[str, Load]:
    """The loads, with a mark where a model or data of these names lies already, or a run's own copies do."""
    nodes = connection.execute(
        "SELECT DISTINCT node.name FROM node_cache JOIN node ON node.id = node_id "
        "WHERE node_cache.name IN (SELECT value FROM json_each(?)) OR EXISTS (SELECT 1 FROM node_cache_use AS used "
        "WHERE used.node_id = node_cache.node_id AND used.hash = node_cache.hash AND used.run_id = ?)",
        (events.dump(list(names)), run_id),
    ).fetchall()
    there = {name for (name,) in nodes}
    known = load.keys() | there
    return {name: replace(load.get(name, Load()), data_there=name in there) for name in known}


def _claim(transaction: Transaction, row: sqlite3.Row, lane: Lane, choice: Choice, terms: Terms, at: float) -> Claim:
    offer = choice.offer
    assert offer is not None
    text = transaction.execute("SELECT spec FROM run_spec WHERE run_id = ?", (row["id"],)).fetchone()[0]
    spec, lease = RunSpec.model_validate_json(text), new_lease()
    rungs = memory.taken(transaction.connection, row["id"])
    if rungs:  # memory ran out before: the attempt is carried out, and written down, as it was lowered
        spec = lowered(spec, rungs)
        text = spec.model_dump_json()
    begin = next_start.take(transaction, row["id"])
    made: dict[str, Any] = {
        "cause": begin.cause, "lease": lease, "spec": text, "at": at, "resumed_from": begin.intention()
    }  # fmt: skip
    attempt_id, n = attempts.reopen(transaction, row["id"], **made) or attempts.insert(transaction, row["id"], **made)
    devices = list(choice.devices or ())
    for device in devices:
        _lease(transaction, offer.id, device, attempt_id)
    attempts.add_member(transaction, attempt_id, offer.executor, offer.id, devices)
    transaction.execute("UPDATE run SET node = ? WHERE id = ?", (offer.name, row["id"]))
    _price(transaction, row["id"], attempt_id, lane, offer, devices, terms, at)
    node_cache.used(transaction, offer.id, row["id"], at)
    if not transitions.move(transaction, row["id"], RunState.PREPARING, actor=ACTOR, at=at):
        raise RuntimeError(f"run {row['uid']} does not wait: nothing is started for it")
    if spec.compute.node != LOCAL:
        _say_why(transaction, row, attempt_id, n, choice, at)
    return Claim(
        row["id"], row["uid"], attempt_id, n, lease, spec, devices, begin.resume, begin.required, offer.name,
        row["owner"],
    )  # fmt: skip


def _price(
    transaction: Transaction,
    run_id: int,
    attempt_id: int,
    lane: Lane,
    offer: Offer,
    devices: list[str],
    terms: Terms,
    at: float,
) -> None:
    price, currency = terms.prices.get(lane), terms.currency
    if offer.price is not None:
        price, currency = runs.hourly(offer.price, sum(device != CPU for device in devices)), offer.currency
    attempts.set_price(transaction, attempt_id, price, currency)
    runs.begin_work(transaction, run_id, at, price, "" if currency == terms.currency else currency)


def _lease(transaction: Transaction, node_id: int, device: str, attempt_id: int) -> None:
    """Hold a device under the first number that nobody else holds it under."""
    rows = transaction.execute("SELECT share FROM device_lease WHERE node_id = ? AND device = ?", (node_id, device))
    held = {share for (share,) in rows}
    share = next(number for number in range(len(held) + 1) if number not in held)
    transaction.execute("INSERT INTO device_lease VALUES (?,?,?,?)", (node_id, device, share, attempt_id))


def _say_why(transaction: Transaction, row: sqlite3.Row, attempt_id: int, n: int, choice: Choice, at: float) -> None:
    body: dict[str, Any] = {"level": "info", "code": choice.code, "params": dict(choice.params)}
    cursor = events.add(transaction, "note", body, at=at, run_id=row["id"], attempt_id=attempt_id, actor=ACTOR)
    transaction.news.append(
        RunEvent(cursor=cursor, at=at, run=row["uid"], attempt=n, kind="note", level=events.INFO, body=body)
    )
