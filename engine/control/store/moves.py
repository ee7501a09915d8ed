"""Moves of runs in the history. A row says all that another controller needs to take the move up."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from engine.contract.compute import Placement
from engine.contract.errors import ErrorBody
from engine.contract.nodes import MoveView
from engine.contract.states import LIVE
from engine.contract.stream import MoveChanged
from engine.control.store import events
from engine.control.store.database import Transaction

UNDER_WAY = "SELECT run_id FROM move WHERE state = 'running'"
_SHOWN_S = 3600.0
_LIVE = ",".join(f"'{state}'" for state in sorted(LIVE))


class Details(BaseModel):
    """What nobody is shown."""

    placement: Placement
    """As the run asked for before."""
    left: int
    """The attempt that is to end on the source."""
    arrived: int | None = None
    """The attempt on the target."""
    asked: bool = False
    """The worker was asked to save and end."""
    checkpoint: int | None = None
    """Its id; None: there is none."""
    tries: int = 0
    cancelled: bool = False
    """A person gave it up."""
    error: ErrorBody | None = None
    """Why it goes back."""


@dataclass(frozen=True)
class Move:
    """One move."""

    view: MoveView
    run_id: int
    details: Details

    def with_view(self, **changes: Any) -> Move:
        """The same, further on."""
        return replace(self, view=self.view.model_copy(update=changes))

    def with_details(self, **changes: Any) -> Move:
        """The same, further on."""
        return replace(self, details=self.details.model_copy(update=changes))


@dataclass(frozen=True)
class Held:
    """What a move keeps free on a node while its run is not at work there."""

    node: str
    lane: str
    devices: list[str] = field(default_factory=list)


def insert(transaction: Transaction, move: Move) -> None:
    """A move begins."""
    view = move.view
    transaction.execute(
        "INSERT INTO move(uid, run_id, source, target, state, step, began, body) VALUES (?,?,?,?,?,?,?,?)",
        (view.uid, move.run_id, view.source, view.target, view.state, view.step, view.began, _body(move)),
    )
    transaction.news.append(MoveChanged(move=view))


def save(transaction: Transaction, move: Move) -> None:
    """It got on, or is over."""
    view = move.view
    transaction.execute(
        "UPDATE move SET state = ?, step = ?, ended = ?, body = ? WHERE uid = ?",
        (view.state, view.step, view.ended, _body(move), view.uid),
    )
    transaction.news.append(MoveChanged(move=view))


def find(connection: sqlite3.Connection, uid: str) -> Move | None:
    """A move by its id."""
    row = connection.execute("SELECT run_id, body FROM move WHERE uid = ?", (uid,)).fetchone()
    return _move(row) if row is not None else None


def of_run(connection: sqlite3.Connection, run_id: int) -> Move | None:
    """The move of a run that is under way."""
    row = connection.execute("SELECT run_id, body FROM move WHERE run_id = ? AND state = 'running'", (run_id,))
    found = row.fetchone()
    return _move(found) if found is not None else None


def under_way(connection: sqlite3.Connection) -> list[Move]:
    """All that are not over."""
    rows = connection.execute("SELECT run_id, body FROM move WHERE state = 'running' ORDER BY id")
    return [_move(row) for row in rows]


def latest(connection: sqlite3.Connection, at: float) -> list[MoveView]:
    """Those under way, and those that ended a short while ago; the newest first."""
    rows = connection.execute(
        "SELECT run_id, body FROM move WHERE state = 'running' OR ended > ? ORDER BY id DESC", (at - _SHOWN_S,)
    )
    return [_move(row).view for row in rows]


def is_arriving(connection: sqlite3.Connection, attempt_id: int) -> bool:
    """Whether this is the attempt on the target of a move and has taken no step: if it fails, it goes back."""
    row = connection.execute(
        "SELECT 1 FROM attempt JOIN move ON move.run_id = attempt.run_id AND move.state = 'running' "
        "WHERE attempt.id = ? AND attempt.first_step IS NULL AND json_extract(body, '$.details.arrived') = n",
        (attempt_id,),
    ).fetchone()
    return row is not None


def held(connection: sqlite3.Connection, but: int | None = None) -> list[Held]:
    """Places that are kept for moving runs: the source until the run works on the target, the target until it comes."""
    rows = connection.execute(
        f"SELECT move.run_id, source, target, lane, run.node, run.state IN ({_LIVE}) AS live, "
        "(SELECT devices FROM member JOIN attempt ON attempt.id = attempt_id WHERE attempt.run_id = run.id "
        "AND n = json_extract(body, '$.details.left')) AS devices "
        "FROM move JOIN run ON run.id = move.run_id WHERE move.state = 'running' AND move.run_id IS NOT ?",
        (but,),
    )
    found = []
    for row in rows:
        if not (row["live"] and row["node"] == row["source"]):
            found.append(Held(row["source"], row["lane"], events.load(row["devices"] or "[]")))
        if not (row["live"] and row["node"] == row["target"]):
            found.append(Held(row["target"], row["lane"]))
    return found


def _body(move: Move) -> str:
    return events.dump(move.view.model_dump(mode="json") | {"details": move.details.model_dump(mode="json")})


def _move(row: sqlite3.Row) -> Move:
    content = events.load(row["body"])
    return Move(MoveView.model_validate(content), row["run_id"], Details.model_validate(content["details"]))
