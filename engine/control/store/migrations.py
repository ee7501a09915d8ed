"""The history's numbered migrations. One that was released is never edited; a change is a new number.

`PRAGMA user_version` holds the number of the last one applied; it moves in the migration's own transaction.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from engine.contract.faults import fault
from engine.control.store import schema_2, schema_3, schema_4, schema_5, schema_6, schema_7, schema_8
from engine.control.store.schema_1 import INDEXES, SEARCH_COLUMNS, TABLES, TRIGGERS

LATEST = 8


def apply(connection: sqlite3.Connection, version: int) -> None:
    """Bring a history of this version up to `LATEST`."""
    from sqlite_utils import Database  # slow to import, and needed only when something changes

    connection.execute("PRAGMA foreign_keys = OFF")
    database = Database(connection)
    for number in range(version + 1, LATEST + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            _STEPS[number](database)
            connection.execute(f"PRAGMA user_version = {number}")
            fault("migration.before_commit")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _first(database: Any) -> None:
    """All tables, the search index over runs, and the triggers."""
    for statement in (*TABLES, *INDEXES):
        database.execute(statement)
    database["run"].enable_fts(SEARCH_COLUMNS, create_triggers=True, tokenize="trigram")
    for statement in TRIGGERS:
        database.execute(statement)
    database.execute("INSERT INTO node(name, kind, endpoint, state, profile) VALUES ('local','local','','ready','{}')")


def _second(database: Any) -> None:
    """Resuming, retrying, keeping; quick lists."""
    database.conn.create_function("fold", 1, str.casefold)
    for statement in (*schema_2.COLUMNS, *schema_2.INDEXES):
        database.execute(statement)


def _third(database: Any) -> None:
    """Time, cost, score, order of the queue, search by facts; what is known of them of older runs."""
    database.conn.create_function("fold", 1, str.casefold)
    for statement in (*schema_3.COLUMNS, *schema_3.FILLED, *schema_3.INDEXES):
        database.execute(statement)


def _fourth(database: Any) -> None:
    """Nodes: profiles, readings, alerts, moves, what lies in their caches, what they cost."""
    for statement in schema_4.STATEMENTS:
        database.execute(statement)


def _fifth(database: Any) -> None:
    """The library of datasets, uploads, tokens seen."""
    for statement in schema_5.STATEMENTS:
        database.execute(statement)


def _sixth(database: Any) -> None:
    """Memory as forecast and as it was; rungs."""
    for statement in schema_6.STATEMENTS:
        database.execute(statement)


def _seventh(database: Any) -> None:
    """Instances: where they answer, and their keys."""
    for statement in schema_7.STATEMENTS:
        database.execute(statement)


def _eighth(database: Any) -> None:
    """What became of an instance's adapters while it served."""
    for statement in schema_8.STATEMENTS:
        database.execute(statement)


_STEPS: dict[int, Callable[[Any], None]] = {
    1: _first,
    2: _second,
    3: _third,
    4: _fourth,
    5: _fifth,
    6: _sixth,
    7: _seventh,
    8: _eighth,
}
