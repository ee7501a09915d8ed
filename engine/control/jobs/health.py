"""Every few seconds a reading of each node that answers: shown, told to who listens, kept, and watched for alerts.

Each node is read by a task of its own, so that one that is slow holds up nobody. One more task keeps and tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.nodes import LOCAL, NodeHistory
from engine.contract.stream import NodeReading
from engine.control.jobs.machine import Machine
from engine.control.jobs.news import Hub
from engine.control.jobs.pool import Node, Pool
from engine.control.nodes.sampler import Reading
from engine.control.store import readings
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
EVERY_S = 5.0
LONGEST_PAUSE_S = 120.0
THIN_EVERY_S = 60.0
Read = Callable[[str, float, dict[str, float], dict[str, str]], None]
Look = Callable[[], Awaitable[None]]


class Health:
    """Readings of all nodes. Belongs to the event loop."""

    def __init__(
        self, pool: Pool, database: Database, hub: Hub, machine: Machine, read: Read, look: Look, every: float = EVERY_S
    ) -> None:
        self._pool, self._database, self._hub, self._machine = pool, database, hub, machine
        self._read = read
        """Told each reading at once: the scheduler and the pages see it."""
        self._look = look
        """Called once a round, after the readings were kept."""
        self.every = every
        """Seconds between two readings."""
        self._tasks: dict[str, tuple[Node, asyncio.Task[None]]] = {}
        self._waiting: list[tuple[Node, float, dict[str, float], dict[str, str]]] = []
        self._thinned = 0.0

    async def run(self) -> None:
        """As long as the controller works."""
        try:
            while True:
                self._follow_pool()
                await asyncio.sleep(self.every)
                with contextlib.suppress(sqlite3.Error, UserError):  # a full disk: there is a next time
                    await self._keep()
                try:
                    await self._look()
                except Exception:
                    log.exception("looking for alerts failed; trying again")
        finally:
            for _node, task in self._tasks.values():
                task.cancel()

    async def history(self, name: str, since: float, until: float, keys: Collection[str] = ()) -> NodeHistory:
        """What was read of a node between two moments."""
        node, at = self._pool.node(name), now()
        return await self._database.read(lambda c: readings.history(c, node.id, name, since, until, at, keys))

    def _follow_pool(self) -> None:
        """A task for each node that is used, none for others."""
        for name, (node, task) in list(self._tasks.items()):
            if name not in self._pool or self._pool.node(name) is not node or task.done():
                task.cancel()
                del self._tasks[name]
        for node in self._pool:
            if node.name not in self._tasks:
                self._tasks[node.name] = node, asyncio.create_task(self._follow(node))

    async def _follow(self, node: Node) -> None:
        pause, said = self.every, ""
        while True:
            try:
                reading = await self._reading(node)
                pause, said = self.every, ""
            except (UserError, OSError) as error:
                reading, text = None, str(error)
                if text != said:
                    log.warning("no readings of the node %s: %s", node.name, text)
                pause, said = min(LONGEST_PAUSE_S, 2 * pause), text
            except Exception:
                log.exception("reading the node %s failed; trying again", node.name)
                reading, pause = None, LONGEST_PAUSE_S
            if reading is not None:
                at = now()
                self._read(node.name, at, reading.values, reading.names)
                self._waiting.append((node, at, reading.values, reading.names))
            await asyncio.sleep(pause)

    async def _reading(self, node: Node) -> Reading | None:
        if node.name == LOCAL:
            return Reading(*await asyncio.to_thread(self._machine.read))
        sampler = node.place.sampler if node.place is not None else None
        if sampler is None or node.reach != "reachable":
            return None
        return await node.call(sampler.read, bool(node.facts.gives_gpus))

    async def _keep(self) -> None:
        """Write down and tell what was read since the last time."""
        waiting, self._waiting = self._waiting, []
        if len(self._hub):
            self._hub.publish(
                [NodeReading(node=node.name, at=at, values=values, names=names) for node, at, values, names in waiting]
            )
        rows = [(node.id, at, values) for node, at, values, _names in waiting]
        at = now()
        thin = abs(at - self._thinned) > THIN_EVERY_S
        if rows or thin:
            await self._database.write(lambda t: _write(t, rows, at if thin else None))
        if thin:
            self._thinned = at


def _write(transaction: Transaction, rows: list[tuple[int, float, dict[str, float]]], thin_at: float | None) -> None:
    readings.add(transaction, rows)
    if thin_at is not None:
        readings.thin(transaction, thin_at)
