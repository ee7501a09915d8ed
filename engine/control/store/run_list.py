"""Pages of the list of runs: filtered, searched, in any order, quick among 100,000.

A few runs are looked up and sorted. Many are met by walking along the index of the order, from its nearer end,
without reading a row before the page begins.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from engine.contract.api import RunPage
from engine.control.store import events
from engine.control.store.runs import SHOWN, from_row

SORTS = {
    "created": "created",
    "name": "name COLLATE NOCASE",
    "state": "state",
    "started": "started",
    "finished": "finished",
    "priority": "priority",
    "model": "model",
    "dataset": "dataset",
    "method": "method",
    "project": "project",
    "loss": "loss",
    "step": "last_step",
}
MAX_PAGE = 1000
FEW = 3000
"""So many runs are quicker sorted than found along an index."""
UID_LETTERS = 3
"""Words of so many letters may be the beginning of an id."""


@dataclass
class _Filter:
    """Which runs are asked for, as a SELECT of their ids; without one, all."""

    sql: str = ""
    values: list[Any] = field(default_factory=list)
    by_state_only: bool = True


def page(
    connection: sqlite3.Connection,
    *,
    states: Sequence[str] = (),
    search: str = "",
    project: str = "",
    sort: str = "created",
    descending: bool = True,
    offset: int = 0,
    limit: int = 100,
) -> RunPage:
    """One page of runs; every word searched for must occur in name, model, dataset or tags, or begin the id."""
    offset, limit = max(0, offset), max(0, min(limit, MAX_PAGE))
    counts = dict(connection.execute("SELECT state, n FROM run_count WHERE n > 0").fetchall())
    wanted, column = _filtered(states, project), SORTS.get(sort, "created")
    words = list(dict.fromkeys(search.casefold().split()))
    if words:  # reading all that is searched takes longest: it is done once
        wanted = _searched(connection, words, wanted)
    ids = _ids(connection, wanted, None if words else FEW)
    if ids is not None and len(ids) == sum(counts.values()):  # it excludes nothing
        wanted, ids = _Filter(), None
    if ids is not None and len(ids) <= FEW:
        total, found = len(ids), _sorted(connection, ids, column, descending, offset, limit)
    else:
        total = _total(connection, wanted, ids, counts, states)
        found = _walked(connection, wanted, ids, column, descending, offset, limit, total)
    rows = {row["id"]: row for row in _rows(connection, found)}
    shown = [from_row(rows[number]) for number in found]
    return RunPage(runs=shown, total=total, counts=counts, cursor=events.latest(connection))


def _filtered(states: Sequence[str], project: str) -> _Filter:
    if not states and not project:
        return _Filter()
    marks = ",".join("?" * len(states))
    if not project:
        return _Filter(f"SELECT id FROM run WHERE deleting = 0 AND state IN ({marks})", list(states))
    sql, values = "SELECT id FROM run WHERE deleting = 0 AND project = ?", [project]
    if states:  # from an index of its own: no row is read
        sql += f" AND +id IN (SELECT id FROM run WHERE deleting = 0 AND state IN ({marks}))"
    return _Filter(sql, [*values, *states], by_state_only=False)


def _searched(connection: sqlite3.Connection, words: Sequence[str], others: _Filter) -> _Filter:
    """Those of the others in which every word occurs."""
    parts, values = [], list[Any]()
    for word in words:
        begins = _begins_uid(connection, word)
        named = " OR run_id IN (SELECT id FROM run WHERE uid >= ? AND uid < ?)" if begins else ""
        parts.append(f"(instr(text, ?){named})")
        values += [word, word, word + "~"] if begins else [word]
    if others.sql:
        parts.append(f"+run_id IN ({others.sql})")
    return _Filter(f"SELECT run_id AS id FROM run_search WHERE {' AND '.join(parts)}", [*values, *others.values], False)


def _begins_uid(connection: sqlite3.Connection, word: str) -> bool:
    """Whether there is a run whose id begins with the word."""
    found = connection.execute("SELECT 1 FROM run WHERE uid >= ? AND uid < ? LIMIT 1", (word, word + "~")).fetchone()
    return len(word) >= UID_LETTERS and found is not None


def _ids(connection: sqlite3.Connection, wanted: _Filter, most: int | None) -> list[int] | None:
    """All of them; None if nothing was filtered, or if there are more than so many."""
    if not wanted.sql:
        return None
    found = _numbers(connection, f"{wanted.sql} LIMIT ?", [*wanted.values, -1 if most is None else most + 1])
    ids = [number for (number,) in found]
    return ids if most is None or len(ids) <= most else None


def _numbers(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
    """Rows as plain tuples: half the time, where there are many."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(sql, values)


def _total(
    connection: sqlite3.Connection,
    wanted: _Filter,
    ids: list[int] | None,
    counts: dict[str, int],
    states: Sequence[str],
) -> int:
    if ids is not None:
        return len(ids)
    if wanted.by_state_only:  # the counts know it already
        return sum(count for state, count in counts.items() if not states or state in states)
    return int(connection.execute(f"SELECT count(*) FROM ({wanted.sql})", wanted.values).fetchone()[0])


def _sorted(
    connection: sqlite3.Connection, ids: list[int], column: str, descending: bool, offset: int, limit: int
) -> list[int]:
    way = "DESC" if descending else "ASC"
    rows = connection.execute(
        f"SELECT id FROM run WHERE id IN (SELECT value FROM json_each(?)) ORDER BY {column} {way}, id {way} "
        "LIMIT ? OFFSET ?",
        (json.dumps(ids), limit, offset),
    )
    return [row[0] for row in rows]


def _walked(
    connection: sqlite3.Connection,
    wanted: _Filter,
    ids: list[int] | None,
    column: str,
    descending: bool,
    offset: int,
    limit: int,
    total: int,
) -> list[int]:
    limit = max(0, min(limit, total - offset))
    backwards = offset > total // 2
    if backwards:
        offset, descending = total - offset - limit, not descending
    way = "DESC" if descending else "ASC"
    order, span = f"ORDER BY {column} {way}, id {way}", (limit, max(0, offset))
    if ids is not None:
        among = set(ids)
        every = _numbers(connection, f"SELECT id FROM run WHERE deleting = 0 {order}", ())
        found = list(islice((number for (number,) in every if number in among), span[1], sum(span)))
    else:
        among_sql = f"AND +id IN ({wanted.sql}) " if wanted.sql else ""
        sql = f"SELECT id FROM run WHERE deleting = 0 {among_sql}{order} LIMIT ? OFFSET ?"
        found = [number for (number,) in _numbers(connection, sql, [*wanted.values, *span])]
    return found[::-1] if backwards else found


def _rows(connection: sqlite3.Connection, ids: list[int]) -> list[sqlite3.Row]:
    return connection.execute(
        f"SELECT {SHOWN} FROM run WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),)
    ).fetchall()
