"""`python -m engine.control.store.care`: look a history through, or copy what can still be read of a damaged one."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.control.store import migrations
from engine.control.store.database import Database

LISTED = 100
TAKEN_IN = (
    "SELECT run.uid, attempt.n, ingested_seq, ingested_bytes FROM member "
    "JOIN attempt ON attempt.id = attempt_id JOIN run ON run.id = run_id WHERE rank = 0"
)
INTERNAL = ("sqlite_", "run_fts")


def check(home: Home) -> dict[str, Any]:
    """Everything that is wrong with the history's file, its references, and against the journals."""
    path = home.database
    if not path.is_file():
        raise UserError("history.none", file=str(path))
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            pages = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({LISTED})")]
            references = [list(row) for row in connection.execute("PRAGMA foreign_key_check")][:LISTED]
            journals = list(_against_journals(connection, home))[:LISTED]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return {"pages": [str(error)], "references": [], "journals": []}
    return {"pages": [] if pages == ["ok"] else pages, "references": references, "journals": journals}


def _against_journals(connection: sqlite3.Connection, home: Home) -> Iterator[str]:
    """Attempts whose journal is shorter than what was taken in, or says something else there."""
    for uid, n, seq, size in connection.execute(TAKEN_IN):
        journal = home.attempt(uid, n).journal
        if not size or not journal.is_file():  # nothing taken in, or the working files were cleared away
            continue
        found = _number_before(journal, size)
        if found is None or found > seq:
            yield f"{uid}/{n}: {size} bytes and line {seq} were taken in, and the journal has line {found} there"


def _number_before(journal: Path, size: int) -> int | None:
    """The number of the line that ends at this byte."""
    with journal.open("rb") as file:
        begin = max(0, size - 65_536)
        file.seek(begin)
        data = file.read(size - begin)
    if len(data) < size - begin or not data.endswith(b"\n"):
        return None
    try:
        return int(json.loads(data.rstrip(b"\n").rpartition(b"\n")[2])["seq"])
    except (ValueError, KeyError, TypeError):
        return None


def salvage(home: Home) -> dict[str, Any]:
    """Copy every row that can be read into a new history beside the old one, which stays as it is."""
    if not home.database.is_file():
        raise UserError("history.none", file=str(home.database))
    target = home.database.with_name(f"history-salvaged-{time.strftime('%Y%m%d-%H%M%S')}.sqlite3")
    Database(target).close()
    source = sqlite3.connect(f"{home.database.absolute().as_uri()}?mode=ro", uri=True)
    copy = sqlite3.connect(target)
    try:
        copy.execute("PRAGMA foreign_keys = OFF")
        tables = [row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]
        counts = {name: _copy(source, copy, name) for name in tables if not name.startswith(INTERNAL)}
        copy.commit()
    finally:
        source.close()
        copy.close()
    return {"file": str(target), "rows": counts, "version": migrations.LATEST}


def _copy(source: sqlite3.Connection, copy: sqlite3.Connection, table: str) -> int:
    """Rows of one table, those of damaged pages left out."""
    known = {row[1] for row in copy.execute(f'PRAGMA table_info("{table}")')}
    columns = [row[1] for row in source.execute(f'PRAGMA table_info("{table}")') if row[1] in known]
    if not columns:  # a table that an older history has not
        return 0
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    copied = 0
    for row in _rows(source, table, names):
        copied += copy.execute(f'INSERT OR REPLACE INTO "{table}"({names}) VALUES ({marks})', row).rowcount
    return copied


def _rows(source: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    """By row number; where a page cannot be read, further on in steps that double."""
    last, step = -(2**62), 1
    while last < 2**62:
        try:
            for number, *row in source.execute(
                f'SELECT rowid, {names} FROM "{table}" WHERE rowid > ? ORDER BY rowid', (last,)
            ):
                last, step = number, 1
                yield tuple(row)
        except sqlite3.OperationalError:  # a table without row numbers
            yield from _unnumbered(source, table, names)
            return
        except sqlite3.DatabaseError:
            last, step = max(last, 0) + step, step * 2
        else:
            return


def _unnumbered(source: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from source.execute(f'SELECT {names} FROM "{table}"')
    except sqlite3.DatabaseError:
        return


def main(arguments: list[str] | None = None) -> int:
    """Do one of the two and print what was found as JSON; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="engine.control.store.care")
    parser.add_argument("what", choices=("check", "salvage"))
    options = parser.parse_args(arguments)
    home = Home.find()
    try:
        found = check(home) if options.what == "check" else salvage(home)
    except UserError as error:
        sys.stdout.write(json.dumps({"error": error.body().model_dump(mode="json")}) + "\n")
        return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
