"""Requests that may come twice: one that carries an idempotency key is answered from the command table then."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.errors import Conflict
from engine.contract.ids import new_id
from engine.control.store import audit, events
from engine.control.store.database import Transaction

MAX_AUDIT_BODY = 2000


@dataclass(frozen=True)
class Request:
    """Who asks for what, and the key that makes asking twice harmless."""

    verb: str
    actor: str = "local"
    key: str | None = None
    target: str | None = None
    body: str = ""

    @property
    def name(self) -> str:
        """A name for the worker's command that comes of it, the same when it is repeated."""
        return f"{self.verb}-{hashlib.sha256(self.key.encode()).hexdigest()[:16] if self.key else new_id()}"

    @property
    def fingerprint(self) -> str:
        """What a repetition must agree with."""
        return hashlib.sha256(json.dumps([self.verb, self.target, self.body]).encode()).hexdigest()


def answered(connection: sqlite3.Connection, request: Request) -> RunSummary | None:
    """The answer a request got before; Conflict if its key belongs to another."""
    row = _known(connection, request)
    return RunSummary.model_validate_json(row["result"]) if row is not None and row["result"] else None


def once(transaction: Transaction, request: Request, work: Callable[[Transaction], RunSummary | None]) -> Any:
    """Do the work and keep its answer, or give the answer that was kept."""
    if _known(transaction.connection, request) is not None:
        return answered(transaction.connection, request)
    answer = work(transaction)
    transaction.execute(
        "INSERT INTO command(idempotency, at, actor, verb, target, body, state, result) VALUES (?,?,?,?,?,?,'done',?)",
        (
            *(request.key, now(), request.actor, request.verb, request.target, request.fingerprint),
            answer.model_dump_json() if answer else None,
        ),
    )
    _write_down(transaction, request, request.target or (answer.uid if answer else None))
    return answer


def kept(connection: sqlite3.Connection, request: Request) -> str | None:
    """The answer, as JSON, that `keep` has kept; Conflict if the key belongs to another request."""
    row = _known(connection, request)
    return row["result"] if row is not None else None


def keep(transaction: Transaction, request: Request, answer: str) -> None:
    """Keep the answer of a request whose parts were carried out, and written down, each by itself."""
    transaction.execute(
        "INSERT OR IGNORE INTO command(idempotency, at, actor, verb, body, state, result) VALUES (?,?,?,?,?,'done',?)",
        (request.key, now(), request.actor, request.verb, request.fingerprint, answer),
    )


def once_only(transaction: Transaction, request: Request, work: Callable[[Transaction], None]) -> bool:
    """Do work that has no answer, unless the request was carried out before; whether it was done now."""
    if _known(transaction.connection, request) is not None:
        return False
    once(transaction, request, work)
    return True


def _write_down(transaction: Transaction, request: Request, target: str | None) -> None:
    """The command's row in the audit, for ever: specs and prompts, which go with their run, by fingerprint only."""
    shown = request.verb not in ("create", "edit", "sample") and len(request.body) <= MAX_AUDIT_BODY
    detail = {"body": request.body} if shown else {"fingerprint": request.fingerprint}
    audit.append(
        transaction, at=now(), actor=request.actor, action=request.verb, target=target, detail=events.dump(detail)
    )


def forget(transaction: Transaction, uid: str) -> None:
    """A run is gone: so are the requests about it, but for the one that deleted it."""
    transaction.execute(
        "DELETE FROM command WHERE verb != 'delete' AND (target = ? OR json_extract(result, '$.uid') = ?)", (uid, uid)
    )


def _known(connection: sqlite3.Connection, request: Request) -> sqlite3.Row | None:
    if request.key is None:
        return None
    row: sqlite3.Row | None = connection.execute(
        "SELECT body, result FROM command WHERE idempotency = ?", (request.key,)
    ).fetchone()
    if row is not None and row["body"] != request.fingerprint:
        raise Conflict("request.key_reused", key=request.key)
    return row
