"""The queue as people see and order it: who starts when, and moving a run to another place.

A place is (priority, rank, id). A rank is the moment a run was queued, or lies between those of its neighbours since
somebody moved it there; where no number is left between two, those of that lane and priority are numbered anew.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Mapping

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.errors import Conflict
from engine.contract.listing import Queue, QueueEntry
from engine.contract.run_spec import RunSpec
from engine.contract.states import LIVE, Lane, RunState
from engine.control.jobs.commands import existing, tell
from engine.control.jobs.queue import ORDER
from engine.control.store import events, runs
from engine.control.store.database import Transaction

STEP = 1.0
"""Between two ranks that are numbered anew."""
_LIVE = ",".join(f"'{state}'" for state in sorted(LIVE))
_PEERS = "state = 'queued' AND deleting = 0 AND lane = ? AND priority = ? AND id != ?"


def listing(connection: sqlite3.Connection, slots: Mapping[str, int], at: float) -> Queue:
    """All runs that wait, lane by lane, in the order they will start."""
    entries: list[QueueEntry] = []
    for lane in Lane:
        rows = connection.execute(
            f"SELECT {runs.SHOWN} FROM run WHERE state = 'queued' AND deleting = 0 AND lane = ? "
            f"ORDER BY retry_at IS NOT NULL, {ORDER}",
            (lane,),
        ).fetchall()
        if not rows:
            continue
        free = _free(connection, lane, slots.get(lane, 0), at)
        for position, row in enumerate(rows, 1):
            run = runs.from_row(row, at)
            begin = _taken(free, run, at)
            entries.append(QueueEntry(run=run, position=position, starts_in_seconds=begin))
    return Queue(entries=entries)


def _free(connection: sqlite3.Connection, lane: Lane, slots: int, at: float) -> list[float]:
    """In how many seconds each slot of the lane is free, as far as that is known."""
    rows = connection.execute(f"SELECT {runs.SHOWN} FROM run WHERE state IN ({_LIVE}) AND lane = ?", (lane,)).fetchall()
    known = sorted(
        seconds for row in rows if (seconds := runs.from_row(row, at).eta_seconds) is not None
    )  # fmt: skip
    # Where there are more runs than slots, as many have to end before one is free.
    free = [0.0] * max(0, slots - len(rows)) + known[max(0, len(rows) - slots) :]
    heapq.heapify(free)
    return free


def _taken(free: list[float], run: RunSummary, at: float) -> float | None:
    """When the run gets the slot that is free first; that slot is its own for as long as it will take."""
    if not free:
        return None
    begin = heapq.heappop(free)
    if run.retry_at is not None:
        begin = max(begin, run.retry_at - at)
    if run.step and run.total_steps and run.seconds:
        heapq.heappush(free, begin + max(0, run.total_steps - run.step) * run.seconds / run.step)
    return max(0.0, begin)


def move(transaction: Transaction, uid: str, before: str | None, actor: str) -> RunSummary:
    """Let a run start before another of its lane, or last of all."""
    row, at = _placed(transaction, uid), now()
    if before is None:
        priority, rank = _last(transaction, row, at)
    else:
        other = _placed(transaction, before)
        if other["id"] == row["id"]:
            raise Conflict("queue.itself", run=row["name"])
        if other["lane"] != row["lane"]:
            names = {"run": row["name"], "other": other["name"], "lane": row["lane"], "theirs": other["lane"]}
            raise Conflict("queue.other_lane", **names)
        priority, rank = other["priority"], _before(transaction, row, other)
    fields = ["queue"]
    if priority != row["priority"]:
        spec = RunSpec.model_validate_json(row["spec"]).model_copy(update={"priority": priority})
        runs.replace_spec(transaction, row["id"], spec)
        fields.append("priority")
    transaction.execute("UPDATE run SET queue_rank = ? WHERE id = ?", (rank, row["id"]))
    cursor = events.add(transaction, "edited", {"fields": fields}, at=at, run_id=row["id"], actor=actor)
    return tell(transaction, row["id"], cursor, at, actor)


def _placed(transaction: Transaction, uid: str) -> sqlite3.Row:
    """A run that has a place in the queue."""
    row = existing(transaction.connection, uid)
    if row["state"] != RunState.QUEUED:
        raise Conflict("queue.not_waiting", run=row["name"], state=row["state"])
    if row["retry_at"] is not None:
        raise Conflict("queue.retry", run=row["name"])
    return row


def _last(transaction: Transaction, row: sqlite3.Row, at: float) -> tuple[int, float]:
    """Priority and rank behind all others of the lane."""
    last = transaction.one(
        "SELECT priority FROM run WHERE state = 'queued' AND deleting = 0 AND retry_at IS NULL AND lane = ? "
        "AND id != ? ORDER BY priority LIMIT 1",
        (row["lane"], row["id"]),
    )
    priority = int(last["priority"]) if last else int(row["priority"])
    (most,) = transaction.execute(
        f"SELECT max(queue_rank) FROM run WHERE {_PEERS}", (row["lane"], priority, row["id"])
    ).fetchone()
    return priority, at if most is None or most < at else most + STEP


def _before(transaction: Transaction, row: sqlite3.Row, other: sqlite3.Row) -> float:
    """A rank between the other's and that of who stands before it."""
    peers = (row["lane"], other["priority"], row["id"])
    previous = transaction.one(
        f"SELECT queue_rank FROM run WHERE {_PEERS} AND (queue_rank, id) < (?, ?) "
        "ORDER BY queue_rank DESC, id DESC LIMIT 1",
        (*peers, other["queue_rank"], other["id"]),
    )
    high = float(other["queue_rank"])
    if previous is None:
        return high - STEP
    low = float(previous["queue_rank"])
    middle = low + (high - low) / 2
    return middle if low < middle < high else _renumbered(transaction, peers, other["id"])


def _renumbered(transaction: Transaction, peers: tuple[str, int, int], other: int) -> float:
    """Number all of the lane and priority anew, with room before the other; the rank that is free there."""
    rows = transaction.execute(
        f"SELECT id, queue_rank FROM run WHERE {_PEERS} ORDER BY queue_rank, id", peers
    ).fetchall()
    rank = float(rows[-1]["queue_rank"])  # who is queued from now on comes after the last as before
    free = rank
    for row in reversed(rows):
        transaction.execute("UPDATE run SET queue_rank = ? WHERE id = ?", (rank, row["id"]))
        rank -= STEP
        if row["id"] == other:
            free = rank
            rank -= STEP
    return free
