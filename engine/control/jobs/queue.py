"""Who goes next: by lane, priority, then place; as many at once as the lane has slots, on devices that are free."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.contract.checkpoints import ResumePoint
from engine.contract.ids import new_lease
from engine.contract.run_spec import RunSpec
from engine.contract.states import LIVE, Lane, RunState
from engine.control.jobs import next_start, transitions
from engine.control.store import attempts, runs
from engine.control.store.database import Transaction

CPU = "cpu"
ACTOR = "queue"
DEFAULT_SLOTS = {Lane.CPU: 4, Lane.LIGHT: 8}
ORDER = "priority DESC, queue_rank, id"
"""Of the runs of a lane that wait, but for those that wait for a retry."""
_LIVE = ",".join(f"'{state}'" for state in sorted(LIVE))


@dataclass(frozen=True)
class Claim:
    """A run that was taken from the queue and given a new attempt and its devices."""

    run_id: int
    uid: str
    attempt_id: int
    n: int
    lease: str
    spec: RunSpec
    devices: list[str]
    resume: list[ResumePoint] = field(default_factory=list)
    resume_required: bool = False


def slots(chosen: dict[str, int] | None, gpus: Sequence[str]) -> dict[str, int]:
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


def take_next(
    transaction: Transaction,
    available: dict[str, int],
    gpus: Sequence[str],
    executor: str,
    at: float,
    prices: Mapping[str, float] | None = None,
) -> Claim | None:
    """Take the first run that has a slot: it is preparing then, with an open attempt that holds its devices."""
    busy = used(transaction.connection)
    for lane in Lane:
        if busy[lane] >= available[lane]:
            continue
        row = transaction.one(
            "SELECT id, uid, spec FROM run JOIN run_spec ON run_id = id "
            "WHERE state = 'queued' AND lane = ? AND deleting = 0 AND retry_at IS NULL "
            f"ORDER BY {ORDER} LIMIT 1",
            (lane,),
        )
        if row is not None:
            runs.begin_work(transaction, row["id"], at, (prices or {}).get(lane))
            return _claim(transaction, row, lane, gpus, executor, at)
    return None


def _claim(
    transaction: Transaction, row: sqlite3.Row, lane: Lane, gpus: Sequence[str], executor: str, at: float
) -> Claim:
    spec, lease = RunSpec.model_validate_json(row["spec"]), new_lease()
    begin = next_start.take(transaction, row["id"])
    attempt_id, n = attempts.insert(
        transaction, row["id"], cause=begin.cause, lease=lease, spec=row["spec"], at=at,
        resumed_from=begin.intention(),
    )  # fmt: skip
    node_id, node = transaction.execute("SELECT id, name FROM node WHERE name = ?", (spec.compute.node,)).fetchone()
    devices = [_lease_device(transaction, node_id, attempt_id, spec, gpus)] if lane is Lane.GPU else []
    attempts.add_member(transaction, attempt_id, executor, node_id, devices)
    transaction.execute("UPDATE run SET node = ? WHERE id = ?", (node, row["id"]))
    transitions.move(transaction, row["id"], RunState.PREPARING, actor=ACTOR, at=at)
    return Claim(row["id"], row["uid"], attempt_id, n, lease, spec, devices, begin.resume, begin.required)


def _lease_device(transaction: Transaction, node_id: int, attempt_id: int, spec: RunSpec, gpus: Sequence[str]) -> str:
    """The device with the fewest holders; more than one holder only where there are more slots than devices."""
    candidates = [CPU] if spec.compute.gpus == 0 or not gpus else list(gpus)
    held: dict[str, set[int]] = {device: set() for device in candidates}
    for device, share in transaction.execute("SELECT device, share FROM device_lease WHERE node_id = ?", (node_id,)):
        held.get(device, set()).add(share)
    device = min(candidates, key=lambda name: len(held[name]))
    share = next(number for number in range(len(held[device]) + 1) if number not in held[device])
    transaction.execute("INSERT INTO device_lease VALUES (?,?,?,?)", (node_id, device, share, attempt_id))
    return device
