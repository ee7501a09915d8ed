"""Instances that serve a model: where they answer, who may ask them, and how the controller asks itself."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from engine.contract.clock import now
from engine.contract.commands import WorkerCommand
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.ids import new_id
from engine.contract.paths import expanded
from engine.contract.preflight import ADAPTER_FILES
from engine.contract.serving import (
    MOST_KEYS,
    RESTART_WINDOW_S,
    Instance,
    MadeKey,
    NewKey,
    ServeKey,
    make_key,
)
from engine.control.jobs.commands import existing
from engine.control.jobs.instances import InstanceDesk
from engine.control.jobs.requests import Request
from engine.control.jobs.serving_keys import keys_of_start, own_key
from engine.control.store import audit, endpoints, events
from engine.control.store.database import Transaction
from engine.control.store.endpoints import Told

T = TypeVar("T")
KIND = "serve"
EVERYWHERE = ("0.0.0.0", "::")


class Way(Protocol):
    """A port of this computer that leads to an instance in a container."""

    address: str

    def close(self) -> None:
        """Nobody gets through any more."""


@dataclass(frozen=True)
class Reached:
    """Where the controller asks an instance, and with which key."""

    url: str
    key: str


class ServingDesk(InstanceDesk):
    """Takes requests about runs that serve. The loop behind it is `controller.Controller`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ways: dict[int, Way] = {}
        self._finding = asyncio.Lock()

    async def instance(self, uid: str) -> Instance:
        """Whether it answers, and where."""
        row = await self.database.read(lambda c: _serving(c, uid))
        moment = now()
        told, restarts = await self.database.read(
            lambda c: (endpoints.current(c, row["id"]), endpoints.ended_since(c, row["id"], moment - RESTART_WINDOW_S))
        )
        if told is None:
            return Instance(run=uid, state=row["state"], restarts=restarts)
        return Instance(
            run=uid, state=row["state"], ready=True, address=await self._address(uid, told), models=told.models,
            since=told.at, restarts=restarts,
        )  # fmt: skip

    async def reached(self, uid: str) -> Reached:
        """How to ask it; raises Conflict while it does not answer."""
        told = await self._answering(uid)
        return Reached(await self._address(uid, told), own_key(self._token(), told.lease))

    async def brought(self, uid: str, path: str) -> tuple[str, str]:
        """Where the instance reads an adapter of this computer, which goes to its container first, and where that is.

        A path that is not of this computer stays as it is: it is the instance's own.
        """
        told = await self._answering(uid)
        found = await asyncio.to_thread(_here, path)
        node = next((one for one in self.pool if one.id == told.node_id), None)
        if found is None or node is None or not node.docker:
            return path, "" if found is None else str(found)
        give: Any = getattr(node.executor, "give", None)
        if give is None:
            raise UserError("serve.unreachable", run=uid, detail=node.name)
        there: str = await node.call(give, self.home.attempt(uid, told.n), found)
        return there, str(found)

    async def _answering(self, uid: str) -> Told:
        """The attempt that answers; raises Conflict while there is none."""
        row = await self.database.read(lambda c: _serving(c, uid))
        told = await self.database.read(lambda c: endpoints.current(c, row["id"]))
        if told is None:
            raise Conflict("serve.not_ready", run=row["name"], state=row["state"])
        return told

    async def serve_keys(self, uid: str) -> list[ServeKey]:
        """Who may ask it; keys themselves are kept nowhere."""
        row = await self.database.read(lambda c: _serving(c, uid))
        return await self.database.read(lambda c: endpoints.keys(c, row["id"]))

    async def make_serve_key(self, uid: str, asked: NewKey, request: Request) -> MadeKey:
        """A new key, told this once."""
        made = make_key(asked, new_id(), now())

        def write(transaction: Transaction) -> None:
            row = _serving(transaction.connection, uid)
            _refuse_too_many(transaction, row)
            endpoints.put_key(transaction, row["id"], made.about)
            _note(transaction, request, "serve_key_made", made.about.id, row["uid"])

        await self._keys_changed(uid, write)
        return made

    async def rotate_serve_key(self, uid: str, key_id: str, hours: float, request: Request) -> MadeKey:
        """Another key in the place of one, which goes on for so many hours."""

        def write(transaction: Transaction) -> MadeKey:
            row = _serving(transaction.connection, uid)
            old, at = _key(transaction.connection, row, key_id), now()
            _refuse_too_many(transaction, row)
            plain = old.model_dump(
                include={"name", "tenant", "tier", "scopes", "requests_per_minute", "tokens_per_minute"}
            )
            left = None if old.expires is None else max(0.01, (old.expires - old.created) / 86_400)
            made = make_key(NewKey.model_validate({**plain, "days": left}), new_id(), at)
            heir = made.about.model_copy(update={"counted_as": old.counted_as or old.hash})
            made = made.model_copy(update={"about": heir})
            end = at + hours * 3600
            end = end if old.expires is None else min(end, old.expires)
            endpoints.put_key(transaction, row["id"], made.about)
            replaced = {"expires": end, "replaced_by": made.about.id}
            endpoints.put_key(transaction, row["id"], old.model_copy(update=replaced))
            _note(transaction, request, "serve_key_rotated", key_id, row["uid"])
            return made

        return await self._keys_changed(uid, write)

    async def revoke_serve_key(self, uid: str, key_id: str, request: Request) -> None:
        """It is refused from now on."""

        def write(transaction: Transaction) -> None:
            row = _serving(transaction.connection, uid)
            _key(transaction.connection, row, key_id)
            endpoints.remove_key(transaction, row["id"], key_id)
            _note(transaction, request, "serve_key_revoked", key_id, row["uid"])

        await self._keys_changed(uid, write)

    async def _keys_changed(self, uid: str, write: Callable[[Transaction], T]) -> T:
        """Write it, and tell the attempt at work, if there is one."""
        done: T = await self.database.write(write, durable=True)
        row = await self.database.read(lambda c: existing(c, uid))
        kept = await self.database.read(lambda c: endpoints.keys(c, row["id"]))
        for watch in self._watching(uid):
            keys = keys_of_start(self._token(), watch.source.lease, kept)
            plain = [key.model_dump(mode="json") for key in keys]
            await watch.send(WorkerCommand(id=f"keys-{time.time_ns()}", verb="keys", params={"keys": plain}))
        return done

    async def _address(self, uid: str, told: Told) -> str:
        """`http://host:port` from this computer."""
        node = next((one for one in self.pool if one.id == told.node_id), None)
        if node is None or not node.docker:
            host = "127.0.0.1" if told.host in EVERYWHERE else told.host
            return f"http://[{host}]:{told.port}" if ":" in host else f"http://{host}:{told.port}"
        async with self._finding:
            if told.attempt_id not in self._ways:
                open_way: Any = getattr(node.executor, "reach", None)
                if open_way is None:
                    raise UserError("serve.unreachable", run=uid, detail=node.name)
                way: Way = await node.call(open_way, self.home.attempt(uid, told.n), told.port)
                await self._close_ways()
                self._ways[told.attempt_id] = way
            return f"http://{self._ways[told.attempt_id].address}"

    async def _close_ways(self) -> None:
        """Those to attempts that are over."""
        for attempt_id in list(self._ways):
            if await self.database.read(partial(endpoints.is_over, attempt_id=attempt_id)):
                await asyncio.to_thread(self._ways.pop(attempt_id).close)

    def _token(self) -> str:
        return self.home.token_file.read_text(encoding="utf-8").strip()


def _here(path: str) -> Path | None:
    """An adapter's file or folder on this computer; None: it has none of that name."""
    try:
        found = expanded(path)
        whole = found.is_file() or all((found / name).is_file() for name in ADAPTER_FILES)
    except (OSError, ValueError):
        return None
    return found if found.is_absolute() and whole else None


def _serving(connection: sqlite3.Connection, uid: str) -> sqlite3.Row:
    row = existing(connection, uid)
    if row["kind"] != KIND:
        raise Conflict("serve.not_serving", run=row["name"], kind=row["kind"])
    return row


def _key(connection: sqlite3.Connection, row: sqlite3.Row, key_id: str) -> ServeKey:
    found = next((key for key in endpoints.keys(connection, row["id"]) if key.id == key_id), None)
    if found is None:
        raise NotFound("serve.key_unknown", run=row["name"], id=key_id[:60])
    return found


def _refuse_too_many(transaction: Transaction, row: sqlite3.Row) -> None:
    """Keys that are over make room for new ones."""
    kept, at = endpoints.keys(transaction.connection, row["id"]), now()
    for key in kept:
        if not key.valid(at):
            endpoints.remove_key(transaction, row["id"], key.id)
    count = sum(key.valid(at) for key in kept)
    if count >= MOST_KEYS:
        raise Conflict("serve.too_many_keys", run=row["name"], count=count)


def _note(transaction: Transaction, request: Request, action: str, key_id: str, uid: str) -> None:
    audit.append(
        transaction, at=now(), actor=request.actor, action=action, target=uid, detail=events.dump({"key": key_id})
    )
