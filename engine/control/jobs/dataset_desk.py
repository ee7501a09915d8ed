"""What the API asks about datasets of the library: lists, changes, deletions, and the rows behind them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from engine.contract.clock import now
from engine.contract.data import DataSource
from engine.contract.dataset_queries import Statistics, StatisticsAnswer
from engine.contract.datasets import DatasetDetail, DatasetPage, DatasetView, EditDataset, Manifest, VersionView
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.paths import Home
from engine.contract.stream import DatasetChanged, DatasetRemoved
from engine.control.jobs import dataset_files, dataset_pins
from engine.control.jobs.requests import Request, once_only
from engine.control.store import datasets
from engine.control.store.database import Database, Transaction

if TYPE_CHECKING:
    from engine.control.store.dataset_folder import Folder

T = TypeVar("T")
log = logging.getLogger(__name__)
SHOWN_RUNS = 5


class DatasetDesk:
    """Of one controller. Pyarrow is imported when somebody first looks at rows."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database
        self._shelf: Any = None

    async def page(self, **asked: Any) -> DatasetPage:
        """Some of the datasets."""
        found = await self._database.read(lambda c: datasets.page(c, **asked))
        newest = [one.newest for one in found.datasets if one.newest is not None]
        await asyncio.to_thread(self._look, newest)
        return found

    async def detail(self, uid: str, n: int | None = None) -> DatasetDetail:
        """Everything about one; the manifest of the newest version unless another is named."""

        def read(connection: sqlite3.Connection) -> DatasetDetail:
            row = existing(connection, uid)
            versions = datasets.versions(connection, row["id"])
            if n is not None:
                _version(connection, row, n)
            shown = datasets.view(connection, row["id"])
            return DatasetDetail(dataset=shown, versions=versions, runs=datasets.used_by(connection, row["id"]))

        found = await self._database.read(read)
        newest = [found.dataset.newest] if found.dataset.newest is not None else []
        await asyncio.to_thread(self._look, [*found.versions, *newest])
        chosen = next((one for one in found.versions if n is None or one.n == n), None)
        if chosen is not None and chosen.present:
            found.manifest = await asyncio.to_thread(self._manifest, chosen.hash)
        return found

    async def edit(self, uid: str, change: EditDataset, request: Request) -> DatasetView:
        """Another name, notes, tags."""

        known: list[str] = []

        def work(transaction: Transaction) -> None:
            row = existing(transaction.connection, uid)
            known.append(row["uid"])
            plain = change.model_dump(exclude_none=True)
            if "name" in plain:
                _refuse_name(transaction.connection, row, plain["name"])
            datasets.edit(transaction, row["id"], plain, now())
            transaction.news.append(DatasetChanged(dataset=datasets.view(transaction.connection, row["id"])))

        if not await self._database.write(lambda t: once_only(t, request, work), durable=True):
            known.append(change.name or uid)  # it was done before, and may have another name since
        return (await self.detail(known[0])).dataset

    async def delete(self, uid: str, n: int | None, request: Request) -> None:
        """Forget a version, or the dataset; refused while a run needs it. Folders nobody wants go at once."""
        gone: list[str] = []

        def work(transaction: Transaction) -> None:
            row = existing(transaction.connection, uid)
            if n is not None:
                _version(transaction.connection, row, n)
            _refuse_needed(transaction.connection, row, n)
            gone.extend(datasets.remove(transaction, row["id"], n, now()))
            if n is None:
                transaction.news.append(DatasetRemoved(uid=row["uid"]))
            else:
                transaction.news.append(DatasetChanged(dataset=datasets.view(transaction.connection, row["id"])))

        await self._database.write(lambda t: once_only(t, request, work), durable=True)
        for fingerprint in gone:
            if self._shelf is not None:
                self._shelf.opened.forget(self._home.dataset(fingerprint))
            await asyncio.to_thread(dataset_files.remove, self._home, fingerprint)

    async def look(self, uid: str, n: int, work: Callable[[Shelf, Folder], T]) -> T:
        """Read something of a version, on a thread."""
        name, fingerprint = await self._database.read(lambda c: _named(c, uid, n))
        return await asyncio.to_thread(self._read, name, n, fingerprint, work)

    async def compare(self, uid: str, before: int, after: int, work: Callable[[Shelf, Folder, Folder], T]) -> T:
        """Read something of two versions of a dataset."""
        name, first = await self._database.read(lambda c: _named(c, uid, before))
        _, second = await self._database.read(lambda c: _named(c, uid, after))

        def read(shelf: Shelf, folder: Folder) -> T:
            return self._read(name, after, second, lambda _shelf, other: work(shelf, folder, other))

        return await asyncio.to_thread(self._read, name, before, first, read)

    async def pinned_query(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters of a helper query with the version that is meant."""
        return await self._database.read(lambda c: dataset_pins.pinned_query(c, params))

    async def keep_measure(self, params: dict[str, Any], result: dict[str, Any]) -> None:
        """What statistics of a version said, for lists. Never a reason to fail for whoever asked."""
        try:
            asked, found = Statistics.model_validate(params), StatisticsAnswer.model_validate(result)
        except ValidationError as error:
            log.warning("the figures of a dataset were not kept: %s", error)
            return
        fingerprint = asked.source.version if _is_whole(asked.source) else None
        if not fingerprint or not found.measured:
            return
        share = max(1.0, found.rows / found.measured)
        tokens = found.tokens if found.exact else round(found.tokens * share)

        def write(transaction: Transaction) -> None:
            datasets.keep_measure(transaction, fingerprint, measure_key(asked), tokens, found.exact, result, now())
            for dataset_id in datasets.of_hash(transaction.connection, fingerprint):
                transaction.news.append(DatasetChanged(dataset=datasets.view(transaction.connection, dataset_id)))

        await self._database.write(write)

    def _read(self, name: str, n: int, fingerprint: str, work: Callable[[Shelf, Folder], T]) -> T:
        if self._shelf is None:
            self._shelf = Shelf()
        try:
            folder = self._shelf.opened.get(self._home.dataset(fingerprint))
        except NotFound as error:
            where = str(self._home.dataset(fingerprint))
            raise NotFound("dataset.gone", dataset=name, version=n, folder=where) from error
        return work(self._shelf, folder)

    def _look(self, versions: list[VersionView]) -> None:
        """Whether each one's folder is there."""
        for one in versions:
            one.present = dataset_files.is_there(self._home, one.hash)

    def _manifest(self, fingerprint: str) -> Manifest | None:
        from engine.control.store.dataset_folder import read_manifest

        try:
            return read_manifest(self._home.dataset(fingerprint))
        except UserError as error:  # the page says that it is missing, and shows the rest
            log.warning("%s", error.text)
            return None


class Shelf:
    """What stays open between two looks at rows."""

    def __init__(self) -> None:
        from engine.control.store.dataset_diff import Differences
        from engine.control.store.dataset_folder import Opened
        from engine.control.store.dataset_rows import Searches

        self.opened = Opened()
        self.searches = Searches()
        self.differences = Differences()


def existing(connection: sqlite3.Connection, named: str) -> sqlite3.Row:
    """A dataset by its id or its name; NotFound without one, with the name that was probably meant."""
    row = datasets.find(connection, named)
    if row is None:
        near = dataset_pins.nearest(datasets.names(connection), named)
        if near is not None:
            raise NotFound("dataset.unknown_near", dataset=named[:120], near=near)
        raise NotFound("dataset.unknown", dataset=named[:120])
    return row


def measure_key(asked: Statistics) -> str:
    """Stands for everything that decides about the figures but the rows."""
    plain = asked.model_dump(mode="json", exclude={"source", "seconds"})
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def _is_whole(source: DataSource) -> bool:
    return source.hub == "library" and source.limit is None and source.format == "auto"


def _named(connection: sqlite3.Connection, uid: str, n: int) -> tuple[str, str]:
    """The name of a dataset and the fingerprint of its version."""
    row = existing(connection, uid)
    return row["name"], _version(connection, row, n)["hash"]


def _version(connection: sqlite3.Connection, row: sqlite3.Row, n: int) -> sqlite3.Row:
    rows = datasets.version_rows(connection, row["id"])
    found = next((one for one in rows if one["n"] == n), None)
    if found is None:
        known = dataset_pins.known_versions(rows) or "–"
        raise NotFound("dataset.no_version", dataset=row["name"], version=n, known=known)
    return found


def _refuse_name(connection: sqlite3.Connection, row: sqlite3.Row, name: str) -> None:
    other = datasets.find(connection, name)
    if other is not None and other["id"] != row["id"]:
        raise Conflict("dataset.name_taken", name=name)
    _refuse_imported(connection, row)


def _refuse_imported(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    importing = datasets.imports(connection).get(row["folded"])
    if importing is not None:
        raise Conflict("dataset.being_imported", dataset=row["name"], runs=importing)


def _refuse_needed(connection: sqlite3.Connection, row: sqlite3.Row, n: int | None) -> None:
    """While a run works with it or waits to; unless another dataset has the same content."""
    if n is None:
        _refuse_imported(connection, row)
    rows = datasets.version_rows(connection, row["id"])
    leaving = [one["hash"] for one in rows if n is None or one["n"] == n]
    staying = {one["hash"] for one in rows if n is not None and one["n"] != n}
    needing = datasets.needing(connection, [one for one in leaving if one not in staying])
    if needing:
        shown = ", ".join(needing[:SHOWN_RUNS]) + (" …" if len(needing) > SHOWN_RUNS else "")
        raise Conflict("dataset.needed", dataset=row["name"], runs=shown)
