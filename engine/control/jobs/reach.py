"""Asks a node, again and again, whether it answers. Its is the only voice on that: everybody else believes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable

from engine.contract import nodes as contract
from engine.contract.clock import now
from engine.contract.errors import ErrorBody, UserError
from engine.contract.nodes import NodeFacts
from engine.control.jobs import elsewhere
from engine.control.jobs.pool import Node
from engine.control.store import nodes
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
EVERY_S = 5.0
AWAY_EVERY_S = 2.0
"""One that did not answer is asked sooner: runs wait for it."""
SEEN_EVERY_S = 60.0
TRUSTED = ("engine", "system", "cpus", "memory", "live_restore", "engine_id")
"""What an engine says of itself whenever it is asked. The rest is found out by a doctor."""


class Reach:
    """One node's asking."""

    def __init__(self, node: Node, database: Database, tell: Callable[[Node], Awaitable[None]]) -> None:
        self._node = node
        self._database = database
        self._tell = tell
        """Called when something about the node changed."""
        self._fenced = False
        self._noted = 0.0

    async def run(self) -> None:
        """As long as the node is used."""
        node = self._node
        while True:
            node.kick.clear()
            try:
                await self._round()
            except Exception:
                log.exception("asking the node %s failed; trying again", node.name)
            pause = AWAY_EVERY_S if node.reach == "unreachable" else EVERY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await node.kick.wait()

    async def _round(self) -> None:
        node, place = self._node, self._node.place
        busy = await self._database.read(lambda c: nodes.open_attempts(c, node.name))
        if node.state == "offline" and not busy:
            await self._is("unused", None)
            return
        if place is None:
            return  # its profile says why
        error: ErrorBody | None = None
        facts: NodeFacts | None = None
        try:
            facts = await node.call(place.ask)
        except UserError as refused:
            error = refused.body()
        if place is not node.place:
            return  # somebody changed the way to it meanwhile
        if facts is not None and busy and _another_engine(node.facts, facts):
            error = UserError("nodes.other_engine", node=node.name).body()
        if error is not None:
            self._fenced = False
            await self._is("unreachable", error)
            return
        if not self._fenced and place.fence is not None:
            await self._fence(place.fence)
            self._fenced = True
        await self._answered(facts)

    async def _fence(self, fence: Callable[[str, str], int]) -> None:
        """End what works there for runs that went on elsewhere, before anything else is done with the node."""
        given_up = await self._database.read(lambda c: elsewhere.given_up_on(c, self._node.name))
        for uid, lease in given_up.items():
            with contextlib.suppress(UserError):  # it fell silent again: then it is fenced next time
                ended = await self._node.call(fence, uid, lease)
                if ended:
                    log.warning(
                        "node %s: %d worker(s) of run %s ended, it went on elsewhere", self._node.name, ended, uid
                    )

    async def _answered(self, facts: NodeFacts | None) -> None:
        node, at = self._node, now()
        node.last_seen = at
        changed = facts is not None and self._learn(facts)
        if changed or at - self._noted > SEEN_EVERY_S or at < self._noted:
            self._noted, known = at, node.facts
            with contextlib.suppress(sqlite3.Error, UserError):  # a full disk: there is a next time
                await self._database.write(lambda t: _note(t, node.name, at, known))
        if not await self._is("reachable", None) and changed:
            await self._tell(node)

    def _learn(self, facts: NodeFacts) -> bool:
        """Take over what the engine says; whether that was new."""
        said = {name: getattr(facts, name) for name in TRUSTED if getattr(facts, name)}
        learnt = self._node.facts.model_copy(update=said)
        if learnt == self._node.facts:
            return False
        self._node.facts = learnt
        return True

    async def _is(self, reach: contract.Reach, error: ErrorBody | None) -> bool:
        """Note how it stands; whether that is new."""
        node = self._node
        code = error.code if error else None
        if node.reach == reach and (node.error.code if node.error else None) == code:
            return False
        log.info("node %s is %s%s", node.name, reach, f": {error.what} {error.why}" if error else "")
        node.reach, node.error = reach, error
        await self._tell(node)
        return True


def _another_engine(known: NodeFacts, said: NodeFacts) -> bool:
    return bool(known.engine_id and said.engine_id and known.engine_id != said.engine_id)


def _note(transaction: Transaction, name: str, at: float, facts: NodeFacts) -> None:
    nodes.seen(transaction, name, at)
    nodes.set_facts(transaction, name, facts)
