"""Takes a journal in and is killed (SIGKILL, nothing is cleaned up) at a chosen moment inside SQLite."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from engine.control.jobs.ingest import Ingest, Source
from engine.control.store.database import Database

FINE = 1
"""Every so many steps of SQLite's machine is a moment, where moments lie inside statements."""


def take_in(folder: Path, moment: int, inside: bool) -> None:
    """Take in all of the journal; die at the given statement, or at the given moment inside statements."""
    database = Database(folder / "history.sqlite3")
    left = moment

    def tick(*_statement: object) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    for connection in (database._telemetry, database._durable):
        if inside:
            connection.set_progress_handler(tick, FINE)
        else:
            connection.set_trace_callback(tick)
    ingest = Ingest(database, source(folder))
    while ingest.pull():
        pass
    database.close()


def source(folder: Path) -> Source:
    """The journal of the only attempt of the only run."""
    return Source(folder / "journal.jsonl", 1, "u", 1, 1, "lease")
