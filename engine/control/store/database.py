"""Opening the history, and who may read and write it.

All writing happens on one thread, in explicit transactions, over two connections: a NORMAL one for telemetry
(a power cut may cost the last instants, which the journal still holds) and a FULL one for commands, states and
audit. Readers have connections of their own and never wait for the writer (WAL).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine.contract.errors import UserError
from engine.contract.faults import fault
from engine.control.store import migrations, trouble

T = TypeVar("T")
log = logging.getLogger(__name__)
READERS = 4
BUSY_MS = 5000


@dataclass
class Transaction:
    """A transaction in progress, and the news it makes true once it is committed."""

    connection: sqlite3.Connection
    news: list[Any] = field(default_factory=list)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Any = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
        return row


class Database:
    """The history file. Open it with `Database(path)`, end with `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_commit: Callable[[list[Any]], None] = _nobody
        """Called on the writer's thread with the news of each transaction, in the order of the commits."""
        _prepare(path)
        self._writer = ThreadPoolExecutor(1, "history-writer")
        self._readers = ThreadPoolExecutor(READERS, "history-reader")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._telemetry = self._connect(synchronous="NORMAL")
        self._durable = self._connect(synchronous="FULL")

    async def write(self, work: Callable[[Transaction], T], durable: bool = False) -> T:
        """Do the work in one transaction; `durable` has it on the disk before this returns."""
        return await asyncio.wrap_future(self._submit(work, durable))

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Look something up on a reader's thread."""
        return await asyncio.wrap_future(self._readers.submit(self._read, work))

    def write_now(self, work: Callable[[Transaction], T], durable: bool = False) -> T:
        """`write` for callers without an event loop."""
        return self._submit(work, durable).result()

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`read` for callers without an event loop."""
        return self._readers.submit(self._read, work).result()

    def close(self) -> None:
        """Finish what is being written and close; the WAL is folded into the file."""
        self._readers.shutdown(wait=True)
        self._writer.shutdown(wait=True)
        for connection in self._opened:
            connection.close()

    def _submit(self, work: Callable[[Transaction], T], durable: bool) -> Future[T]:
        return self._writer.submit(self._write, work, self._durable if durable else self._telemetry)

    def _write(self, work: Callable[[Transaction], T], connection: sqlite3.Connection) -> T:
        transaction = Transaction(connection)
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = work(transaction)
            fault("history.before_commit")
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            known = trouble.explain(error, self.path) if isinstance(error, sqlite3.Error) else None
            if known is not None:
                raise known from error
            raise
        fault("history.after_commit")
        if transaction.news:
            self.on_commit(transaction.news)
        return result

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(synchronous="NORMAL")
            connection.execute("PRAGMA query_only = ON")
        try:
            connection.execute("BEGIN")  # one view of the history for the whole look-up
            try:
                return work(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            known = trouble.explain(error, self.path)
            if known is not None and known.code != "history.read_only":  # a reader that writes is a bug
                raise known from error
            raise

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._opened.append(connection)
        return connection


def _nobody(_news: list[Any]) -> None:
    """The listener before there is one."""


def _prepare(path: Path) -> None:
    """Create the file or bring it up to date; refuse one that cannot be used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    trouble.check_before_opening(path, migrations.LATEST)
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # must come before WAL
        connection.execute("PRAGMA journal_mode = WAL")
        if version < migrations.LATEST:
            log.info("history: version %d becomes %d", version, migrations.LATEST)
            migrations.apply(connection, version)
    except sqlite3.DatabaseError as error:
        known = trouble.explain(error, path)
        if known is not None:
            raise known from error
        raise UserError("history.unusable", file=str(path), detail=str(error)) from error
    finally:
        connection.close()
