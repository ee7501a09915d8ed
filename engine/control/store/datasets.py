"""Datasets in the history: names, their versions, who works with them, and what was measured of them."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.contract.datasets import DatasetPage, DatasetView, UsedBy, VersionView
from engine.contract.ids import new_id
from engine.contract.states import LIVE, RunState
from engine.control.store.database import Transaction

MAX_PAGE = 1000
UNDONE = ",".join(f"'{state}'" for state in sorted((*LIVE, RunState.QUEUED, RunState.PAUSED)))
"""States of a run that works, or will."""
_NEWEST = "SELECT max(n) FROM dataset_version AS own WHERE own.dataset_id = dataset.id AND own.removed IS NULL"
_TOKENS = "SELECT tokens FROM dataset_measure WHERE dataset_measure.hash = version.hash ORDER BY at DESC LIMIT 1"
_LEARNERS = (
    "lineage JOIN run ON run.id = lineage.run_id AND lineage.role = 'input' AND lineage.kind = 'dataset' "
    "AND run.kind != 'import' AND run.deleting = 0"
)
"""Runs that read a version other than to make another of it."""
_LISTED = (
    "dataset.*, version.n, version.hash, version.parent, version.created AS version_created, version.run, "
    "version.rows, version.refused, version.bytes, version.format, version.problems, "
    "(SELECT count(*) FROM dataset_version AS own WHERE own.dataset_id = dataset.id AND own.removed IS NULL) AS count, "
    f"({_TOKENS}) AS tokens, "
    f"(SELECT count(DISTINCT lineage.run_id) FROM {_LEARNERS} JOIN dataset_version AS own "
    "ON own.hash = lineage.hash WHERE own.dataset_id = dataset.id AND own.removed IS NULL) AS used"
)
_FROM = (
    f"FROM dataset LEFT JOIN dataset_version AS version ON version.dataset_id = dataset.id AND version.n = ({_NEWEST})"
)
_FOUND = "dataset.deleted IS NULL"
_TEXT = "dataset.folded || ' ' || lower(dataset.tags) || ' ' || lower(dataset.notes)"
SORTS = {
    "name": "folded",
    "created": "(dataset.created)",
    "changed": "changed",
    "rows": "coalesce(version.rows, 0)",
    "bytes": "coalesce(version.bytes, 0)",
    "refused": "coalesce(version.refused, 0)",
    "format": "coalesce(version.format, '')",
    "tokens": "coalesce(tokens, 0)",
    "versions": "count",
    "used_by": "used",
    "health": "coalesce(version.refused, 0) * 1e12 + (SELECT total(value) FROM json_each(version.problems))",
}
_VERSIONS = (
    f"SELECT version.*, ({_TOKENS}) AS tokens, (SELECT count(DISTINCT lineage.run_id) FROM {_LEARNERS} "
    "WHERE lineage.hash = version.hash) AS used FROM dataset_version AS version "
    "WHERE dataset_id = ? AND removed IS NULL ORDER BY n DESC"
)
_USED_BY = (
    f"SELECT run.uid, run.name, run.state, run.created, max(version.n) AS n FROM {_LEARNERS} "
    "JOIN dataset_version AS version ON version.hash = lineage.hash WHERE version.dataset_id = ? "
    "AND version.removed IS NULL GROUP BY run.id ORDER BY run.created DESC LIMIT 500"
)


@dataclass(frozen=True)
class Made:
    """What an import brought, as the history takes it in."""

    name: str
    hash: str
    parent: str | None
    run: str
    rows: int
    refused: int
    bytes: int
    format: str
    problems: dict[str, int]
    manifest_sha256: str


@dataclass(frozen=True)
class Registered:
    """Where a version stands now."""

    dataset_id: int
    uid: str
    name: str
    n: int
    new: bool
    """False: the newest version was the same already."""


def folded(name: str) -> str:
    """The form in which two names are the same."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def register(transaction: Transaction, made: Made, at: float) -> Registered:
    """A version that lies in its folder becomes the newest of its dataset; a new name becomes a dataset."""
    row = transaction.one("SELECT * FROM dataset WHERE folded = ? AND deleted IS NULL", (folded(made.name),))
    if row is None:
        transaction.execute(
            "INSERT INTO dataset(uid, name, created, changed, folded) VALUES (?,?,?,?,?)",
            (new_id(), made.name, at, at, folded(made.name)),
        )
        row = transaction.one("SELECT * FROM dataset WHERE folded = ? AND deleted IS NULL", (folded(made.name),))
        assert row is not None
    newest = newest_of(transaction.connection, row["id"])
    if newest is not None and newest["hash"] == made.hash:
        return Registered(row["id"], row["uid"], row["name"], newest["n"], False)
    n = 1 + int(
        transaction.execute(
            "SELECT coalesce(max(n), 0) FROM dataset_version WHERE dataset_id = ?", (row["id"],)
        ).fetchone()[0]
    )
    transaction.execute(
        "INSERT INTO dataset_version(dataset_id, n, hash, parent, run, created, rows, refused, bytes, format, "
        "problems, manifest_sha256) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(row["id"], n, made.hash, made.parent, made.run, at, made.rows, made.refused, made.bytes, made.format),
            *(_dump(made.problems), made.manifest_sha256),
        ),
    )
    transaction.execute("UPDATE dataset SET changed = ? WHERE id = ?", (at, row["id"]))
    return Registered(row["id"], row["uid"], row["name"], n, True)


def find(connection: sqlite3.Connection, named: str) -> sqlite3.Row | None:
    """A dataset by its id, or its name as people write it."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM dataset WHERE (uid = ? OR folded = ?) AND deleted IS NULL ORDER BY uid = ? DESC",
        (named, folded(named), named),
    ).fetchone()
    return row


def names(connection: sqlite3.Connection) -> list[str]:
    """Of all datasets."""
    return [row[0] for row in connection.execute("SELECT name FROM dataset WHERE deleted IS NULL ORDER BY folded")]


def newest_of(connection: sqlite3.Connection, dataset_id: int) -> sqlite3.Row | None:
    """The version a run gets that names none."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM dataset_version WHERE dataset_id = ? AND removed IS NULL ORDER BY n DESC LIMIT 1", (dataset_id,)
    ).fetchone()
    return row


def version_rows(connection: sqlite3.Connection, dataset_id: int) -> list[sqlite3.Row]:
    """All versions that are there, the newest first."""
    return connection.execute(
        "SELECT * FROM dataset_version WHERE dataset_id = ? AND removed IS NULL ORDER BY n DESC", (dataset_id,)
    ).fetchall()


def is_kept(connection: sqlite3.Connection, fingerprint: str) -> bool:
    """Whether some dataset has a version of this content."""
    found = connection.execute(
        "SELECT 1 FROM dataset_version JOIN dataset ON dataset.id = dataset_id WHERE hash = ? AND removed IS NULL "
        "AND dataset.deleted IS NULL LIMIT 1",
        (fingerprint,),
    ).fetchone()
    return found is not None


def kept_hashes(connection: sqlite3.Connection) -> dict[str, bool]:
    """Every fingerprint the history has heard of, and whether a version of it is still wanted."""
    rows = connection.execute(
        "SELECT hash, max(removed IS NULL AND dataset.deleted IS NULL) FROM dataset_version "
        "JOIN dataset ON dataset.id = dataset_id GROUP BY hash"
    )
    return {fingerprint: bool(wanted) for fingerprint, wanted in rows}


def page(
    connection: sqlite3.Connection, *, search: str = "", sort: str = "changed", descending: bool = True,
    offset: int = 0, limit: int = 100,
) -> DatasetPage:  # fmt: skip
    """Some of the datasets; every word of the search stands in name, tags or notes."""
    words = [folded(word) for word in search.split()]
    where = " AND ".join([_FOUND, *(f"instr({_TEXT}, ?) > 0" for _ in words)])
    total = connection.execute(f"SELECT count(*) FROM dataset WHERE {where}", words).fetchone()[0]
    rows = connection.execute(
        f"SELECT {_LISTED} {_FROM} WHERE {where} ORDER BY {SORTS[sort]} {'DESC' if descending else 'ASC'}, "
        f"dataset.id LIMIT ? OFFSET ?",
        (*words, limit, offset),
    ).fetchall()
    importing = imports(connection)
    return DatasetPage(datasets=[_view(row, importing) for row in rows], total=int(total))


def view(connection: sqlite3.Connection, dataset_id: int) -> DatasetView:
    """One of them as a list shows it."""
    row = connection.execute(f"SELECT {_LISTED} {_FROM} WHERE dataset.id = ?", (dataset_id,)).fetchone()
    return _view(row, imports(connection))


def versions(connection: sqlite3.Connection, dataset_id: int) -> list[VersionView]:
    """The newest first."""
    return [_version(row, row["created"]) for row in connection.execute(_VERSIONS, (dataset_id,))]


def used_by(connection: sqlite3.Connection, dataset_id: int) -> list[UsedBy]:
    """Runs that learned from it, or will, the newest first."""
    return [
        UsedBy(run=row["uid"], name=row["name"], state=row["state"], version=row["n"], created=row["created"])
        for row in connection.execute(_USED_BY, (dataset_id,))
    ]


def imports(connection: sqlite3.Connection) -> dict[str, str]:
    """Folded name of a dataset to the import that is to write it."""
    rows = connection.execute(
        "SELECT dataset, uid FROM run WHERE kind IN ('import', 'sample') AND deleting = 0 "
        f"AND state IN ({UNDONE}) ORDER BY id DESC"
    )
    return {folded(name): uid for name, uid in rows}


def needing(connection: sqlite3.Connection, hashes: Sequence[str]) -> list[str]:
    """Runs that work, or will, and read one of these versions."""
    rows = connection.execute(
        f"SELECT DISTINCT run.name, run.uid FROM lineage JOIN run ON run.id = lineage.run_id WHERE role = 'input' "
        f"AND lineage.kind = 'dataset' AND lineage.hash IN (SELECT value FROM json_each(?)) AND run.deleting = 0 "
        f"AND run.state IN ({UNDONE}) ORDER BY run.id",
        (_dump(list(hashes)),),
    )
    return [f"{name} ({uid})" for name, uid in rows]


def edit(transaction: Transaction, dataset_id: int, changes: dict[str, Any], at: float) -> None:
    """Another name, notes, tags."""
    if "name" in changes:
        changes = {**changes, "folded": folded(changes["name"])}
    if "tags" in changes:
        changes = {**changes, "tags": _dump(changes["tags"])}
    named = ", ".join(f"{column} = ?" for column in changes)
    transaction.execute(f"UPDATE dataset SET {named} WHERE id = ?", (*changes.values(), dataset_id))
    transaction.execute("UPDATE dataset SET changed = ? WHERE id = ?", (at, dataset_id))


def remove(transaction: Transaction, dataset_id: int, n: int | None, at: float) -> list[str]:
    """Forget a version, or all of it; the fingerprints nobody wants any more."""
    some = "" if n is None else " AND n = ?"
    which = (dataset_id,) if n is None else (dataset_id, n)
    rows = transaction.execute(
        f"SELECT hash FROM dataset_version WHERE dataset_id = ? AND removed IS NULL{some}", which
    ).fetchall()
    transaction.execute(
        f"UPDATE dataset_version SET removed = ? WHERE dataset_id = ? AND removed IS NULL{some}", (at, *which)
    )
    transaction.execute(
        "UPDATE dataset SET changed = ?" + (", deleted = ?" if n is None else "") + " WHERE id = ?",
        (at, *((at,) if n is None else ()), dataset_id),
    )
    gone = [row[0] for row in rows if not is_kept(transaction.connection, row[0])]
    for fingerprint in gone:
        transaction.execute("DELETE FROM dataset_measure WHERE hash = ?", (fingerprint,))
    return gone


def keep_measure(
    transaction: Transaction, fingerprint: str, key: str, tokens: int, exact: bool, body: dict[str, Any], at: float
) -> None:
    """What was counted of a version with the tokenizer and template that `key` stands for."""
    if is_kept(transaction.connection, fingerprint):
        transaction.execute(
            "INSERT OR REPLACE INTO dataset_measure(hash, key, at, tokens, exact, body) VALUES (?,?,?,?,?,?)",
            (fingerprint, key, at, tokens, int(exact), _dump(body)),
        )


def of_hash(connection: sqlite3.Connection, fingerprint: str) -> list[int]:
    """Datasets that have a version of this content."""
    rows = connection.execute(
        "SELECT DISTINCT dataset_id FROM dataset_version JOIN dataset ON dataset.id = dataset_id WHERE hash = ? "
        "AND removed IS NULL AND dataset.deleted IS NULL",
        (fingerprint,),
    )
    return [row[0] for row in rows]


def _view(row: sqlite3.Row, importing: dict[str, str]) -> DatasetView:
    newest = None if row["n"] is None else _version(row, row["version_created"])
    return DatasetView(
        uid=row["uid"], name=row["name"], created=row["created"], changed=row["changed"], notes=row["notes"],
        tags=json.loads(row["tags"]), versions=row["count"], newest=newest,
        importing=importing.get(row["folded"], ""), used_by=row["used"],
    )  # fmt: skip


def _version(row: sqlite3.Row, created: float) -> VersionView:
    return VersionView(
        n=row["n"], hash=row["hash"], parent=row["parent"], created=created, run=row["run"], rows=row["rows"],
        refused=row["refused"], problems=json.loads(row["problems"]), bytes=row["bytes"], format=row["format"],
        tokens=row["tokens"], used_by=row["used"],
    )  # fmt: skip


def _dump(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)
