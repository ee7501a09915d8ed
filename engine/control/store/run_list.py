"""Pages of the list of runs: filtered, searched, in any order, quick among 100,000.

A few runs are looked up and sorted. Many are met by walking along the index of the order, from its nearer end,
without reading a row before the page begins.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from engine.contract.api import RunPage
from engine.contract.clock import now
from engine.contract.search import Query, parse
from engine.control.store import events
from engine.control.store.runs import COST, SECONDS, SHOWN, from_row
from engine.control.store.search_sql import Asked, Filter, compiled, found, numbers

if TYPE_CHECKING:
    from engine.control.store.search_sql import Ids

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
    "seconds": "worked_seconds",
    "cost": "cost",
    "score": "score",
    "tokens": "tokens_seen",
}
GROWING = {"seconds": SECONDS, "cost": COST}
"""What grows by the second while a run works: the index has it of those at rest."""
MAX_PAGE = 1000
FEW = 3000
"""So many runs are quicker sorted than found along an index."""


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
    me: str = "",
) -> RunPage:
    """One page of runs; `search` is in the language of `engine.contract.search`, `me` is whom `owner:me` means."""
    offset, limit = max(0, offset), max(0, min(limit, MAX_PAGE))
    at = now()
    asked = Asked(states, project, parse(search, at), me, at)
    order = Order(sort if sort in SORTS else "created", descending, at)
    counts = dict(connection.execute("SELECT state, n FROM run_count WHERE n > 0").fetchall())
    listed, total = ids_of(connection, asked, order, counts, offset, limit)
    rows = {row["id"]: row for row in _rows(connection, listed)}
    shown = [from_row(rows[number], at) for number in listed]
    return RunPage(runs=shown, total=total, counts=counts, cursor=events.latest(connection))


def ids_of(
    connection: sqlite3.Connection, asked: Asked, order: Order, counts: dict[str, int], offset: int, limit: int
) -> tuple[list[int], int]:
    """The ids of a page, and how many runs there are in all. `counts` are the runs by state."""
    wanted, ids = _wanted(connection, asked)
    if ids is not None and len(ids) == sum(counts.values()):  # it excludes nothing
        wanted, ids = Filter(), None
    if ids is not None and len(ids) <= FEW:
        return _sorted(connection, ids, order, offset, limit), len(ids)
    total = _total(connection, wanted, ids, counts, asked.states)
    return _walked(connection, wanted, ids, order, offset, limit, total), total


@dataclass(frozen=True)
class Order:
    """What a list is sorted by."""

    sort: str
    descending: bool
    at: float

    @property
    def column(self) -> str:
        """As an index has it."""
        return SORTS[self.sort]

    @property
    def way(self) -> str:
        """Up or down."""
        return "DESC" if self.descending else "ASC"

    def turned(self) -> Order:
        """The other way round."""
        return Order(self.sort, not self.descending, self.at)

    def walk(self, among: str) -> str:
        """A SELECT of ids in this order, of those among the others."""
        if self.sort not in GROWING:
            return f"SELECT id FROM run WHERE deleting = 0 {among}ORDER BY {self.column} {self.way}, id {self.way}"
        return (  # two walks, merged: along the index of those at rest, and over the few at work
            f"SELECT id, {self.column} AS place FROM run WHERE deleting = 0 AND working_since IS NULL {among}"
            f"UNION ALL SELECT id, {GROWING[self.sort]} FROM run WHERE deleting = 0 AND working_since IS NOT NULL "
            f"{among}ORDER BY place {self.way}, id {self.way}"
        )


def _wanted(connection: sqlite3.Connection, asked: Asked) -> tuple[Filter, Ids | None]:
    """Whom is asked for: as a statement, and all of them where they were read or are few; None: all there are."""
    if asked.query.terms:
        return Filter(), found(connection, asked, FEW)
    wanted = compiled(connection, asked)
    if not wanted.sql:
        return wanted, None
    if asked.query != Query():  # reading all that is searched takes longest: it is done once
        return wanted, numbers(connection, wanted.sql, wanted.values)
    ids = numbers(connection, f"{wanted.sql} LIMIT {FEW + 1}", wanted.values)
    return wanted, ids if len(ids) <= FEW else None


def _numbers(connection: sqlite3.Connection, sql: str, values: dict[str, Any]) -> sqlite3.Cursor:
    """Rows as plain tuples: half the time, where there are many."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(sql, values)


def _total(
    connection: sqlite3.Connection,
    wanted: Filter,
    ids: Ids | None,
    counts: dict[str, int],
    states: Sequence[str],
) -> int:
    if ids is not None:
        return len(ids)
    if wanted.by_state_only:  # the counts know it already
        return sum(count for state, count in counts.items() if not states or state in states)
    return int(connection.execute(f"SELECT count(*) FROM ({wanted.sql})", wanted.values).fetchone()[0])


def _sorted(connection: sqlite3.Connection, ids: Ids, order: Order, offset: int, limit: int) -> list[int]:
    place = GROWING.get(order.sort, order.column)
    rows = _numbers(
        connection,
        f"SELECT id FROM run WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY {place} {order.way}, "
        f"id {order.way} LIMIT :limit OFFSET :offset",
        {"ids": json.dumps(ids.tolist()), "limit": limit, "offset": offset, "now": order.at},
    )
    return [number for (number,) in rows]


def _walked(
    connection: sqlite3.Connection,
    wanted: Filter,
    ids: Ids | None,
    order: Order,
    offset: int,
    limit: int,
    total: int,
) -> list[int]:
    limit = max(0, min(limit, total - offset))
    backwards = offset > total // 2
    if backwards:
        offset, order = total - offset - limit, order.turned()
    begin, values = max(0, offset), wanted.values | {"now": order.at}
    if ids is not None:
        among = _places(connection, ids)
        every = (row[0] for row in _numbers(connection, order.walk(""), values))
        shown = list(islice((number for number in every if among[number]), begin, begin + limit))
    else:
        sql = order.walk(f"AND +id IN ({wanted.sql}) " if wanted.sql else "") + " LIMIT :limit OFFSET :offset"
        shown = [row[0] for row in _numbers(connection, sql, values | {"limit": limit, "offset": begin})]
    return shown[::-1] if backwards else shown


def _places(connection: sqlite3.Connection, ids: Ids) -> bytes:
    """A byte for every id there may be: whether it is one of these."""
    import numpy as np

    (most,) = connection.execute("SELECT max(id) FROM run").fetchone()
    among = np.zeros((most or 0) + 1, np.bool_)
    among[ids] = True
    return among.tobytes()


def _rows(connection: sqlite3.Connection, ids: list[int]) -> list[sqlite3.Row]:
    return connection.execute(
        f"SELECT {SHOWN} FROM run WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),)
    ).fetchall()
