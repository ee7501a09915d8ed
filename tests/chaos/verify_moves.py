"""What must hold of moves at the end of a chaos run: all over, and each went on where it had stopped."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
from collections import Counter
from collections.abc import Iterator

from engine.contract.paths import Home
from engine.control.store import moves
from engine.control.store.moves import Move


def move_problems(home: Home) -> list[str]:
    """Everything that is wrong; the controller has ended."""
    with contextlib.closing(_history(home)) as connection:
        found = []
        for move in _all(connection):
            words = f"move {move.view.uid} of {move.view.run}"
            if move.view.state == "running":
                found.append(f"{words} is not over: {move.view.step}")
            elif move.view.state == "done":
                found += [f"{words}: {text}" for text in _done(connection, home, move)]
    return found


def _done(connection: sqlite3.Connection, home: Home, move: Move) -> Iterator[str]:
    """It left one place for another, and the first step there follows the last that was saved."""
    rows = connection.execute(
        "SELECT n, reason, node.name AS node FROM attempt JOIN member ON member.attempt_id = attempt.id AND rank = 0 "
        "JOIN node ON node.id = node_id WHERE run_id = ? AND n IN (?, ?)",
        (move.run_id, move.details.left, move.details.arrived),
    )
    there = {row["n"]: row for row in rows.fetchall()}
    left, arrived = there.get(move.details.left), there.get(move.details.arrived)
    if left is None or arrived is None:
        yield f"attempts {move.details.left} and {move.details.arrived} are not both in the history"
        return
    if (left["node"], arrived["node"]) != (move.view.source, move.view.target):
        yield f"from {left['node']} to {arrived['node']}, not from {move.view.source} to {move.view.target}"
    if left["reason"] != "moved":
        yield f"the source's attempt ended as {left['reason']}"
    first = _first_step(home, move)
    if move.view.train_step is not None and first is not None and first != move.view.train_step + 1:
        yield f"saved at step {move.view.train_step}, gone on with step {first}"


def _first_step(home: Home, move: Move) -> int | None:
    """Of the attempt on the target; None where its files have gone."""
    journal = home.attempt(move.view.run, move.details.arrived or 0).journal
    if not journal.exists():
        return None
    lines = (json.loads(raw) for raw in journal.read_bytes().splitlines(keepends=True) if raw.endswith(b"\n"))
    return next((int(line["step"]) for line in lines if line["kind"] == "step"), None)


def moves_told(home: Home) -> str:
    """How many, how they ended, how long nobody worked."""
    with contextlib.closing(_history(home)) as connection:
        found = [move.view for move in _all(connection)]
    ends = ", ".join(f"{state} {count}" for state, count in Counter(view.state for view in found).most_common())
    why = Counter(view.error.code for view in found if view.error is not None).most_common()
    idle = [view.downtime for view in found if view.downtime is not None]
    rest = f"; at a standstill for {statistics.median(idle):.1f} s (median), {max(idle):.1f} s at most" if idle else ""
    reasons = f" ({', '.join(f'{code} {count}' for code, count in why)})" if why else ""
    return f"{len(found)}: {ends}{reasons}{rest}"


def _history(home: Home) -> sqlite3.Connection:
    connection = sqlite3.connect(home.database)
    connection.row_factory = sqlite3.Row
    return connection


def _all(connection: sqlite3.Connection) -> list[Move]:
    uids = [row["uid"] for row in connection.execute("SELECT uid FROM move ORDER BY id")]
    return [move for uid in uids if (move := moves.find(connection, uid)) is not None]
