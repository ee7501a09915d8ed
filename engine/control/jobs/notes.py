"""A line in a run's timeline, by whoever is on a thread and in no transaction."""

from __future__ import annotations

from engine.contract.clock import now
from engine.contract.stream import RunEvent
from engine.control.store import events
from engine.control.store.database import Database, Transaction

ACTOR = "controller"


def note(database: Database, uid: str, code: str, warning: bool = False, **params: object) -> None:
    """Say it, if the run is still there. Waits for the database."""
    level = events.WARNING if warning else events.INFO
    body = {"level": "warning" if warning else "info", "code": code, "params": params}

    def write(transaction: Transaction) -> None:
        row = transaction.one("SELECT id, attempt FROM run WHERE uid = ? AND deleting = 0", (uid,))
        if row is None:
            return
        at = now()
        cursor = events.add(transaction, "note", body, at=at, run_id=row["id"], level=level, actor=ACTOR)
        said = RunEvent(cursor=cursor, at=at, run=uid, attempt=row["attempt"], kind="note", level=level, body=body)
        transaction.news.append(said)

    database.write_now(write)
