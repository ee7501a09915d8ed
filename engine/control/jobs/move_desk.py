"""What the API may ask about moves, and what moves need of the controller."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from engine.contract.clock import now
from engine.contract.errors import Conflict, NotFound
from engine.contract.faults import fault
from engine.contract.nodes import LOCAL, MoveView
from engine.contract.paths import Home
from engine.control.executors.base import Executor
from engine.control.jobs import move_steps
from engine.control.jobs.commands import existing
from engine.control.jobs.moving import Mover
from engine.control.jobs.node_care import NodeCare
from engine.control.jobs.pool import MakePlace
from engine.control.jobs.queue import Claim, Terms
from engine.control.jobs.requests import Request, keep, kept
from engine.control.jobs.watch import Watch
from engine.control.store import audit, events, moves
from engine.control.store.database import Database, Transaction


class MoveDesk(NodeCare):
    """Takes requests about moves. The loop behind it is `controller.Controller`."""

    def __init__(self, home: Home, database: Database, local: Executor, make_place: MakePlace | None = None) -> None:
        super().__init__(home, database, local, make_place)
        self._movers: dict[str, Mover] = {}

    async def move_run(self, uid: str, node: str, request: Request) -> MoveView:
        """Begin to move a live run; without a node to the scheduler's choice."""
        if node:
            self.pool.node(node)
        terms = await self.terms()
        await self._refuse_without_python(uid, node)

        def write(transaction: Transaction) -> str:
            known = kept(transaction.connection, request) if request.key else None
            if known is not None:
                return known
            answer = move_steps.request(transaction, uid, node, terms, request.actor).view.model_dump_json()
            keep(transaction, request, answer)
            _write_down(transaction, request.actor, "move", uid, node)
            return answer

        async with self._files_of(uid):
            view = MoveView.model_validate_json(await self.database.write(write, durable=True))
        fault("moving.after_request")
        self._carry(view.uid)
        return view

    async def moves(self) -> list[MoveView]:
        """Those under way, and those that ended in the last hour."""
        return await self.database.read(lambda c: moves.latest(c, now()))

    async def cancel_move(self, uid: str) -> MoveView:
        """Give a move up: the source goes on. One that is over stays as it is."""

        def write(transaction: Transaction) -> MoveView:
            move = moves.find(transaction.connection, uid)
            if move is None:
                raise NotFound("move.unknown", move=uid)
            if move.view.state == "done" or move.view.step == "releasing":
                raise Conflict("move.too_late", run=move.view.name, node=move.view.target)
            if move.view.state == "running":
                moves.save(transaction, move.with_details(cancelled=True))
                _write_down(transaction, "local", "cancel_move", move.view.run, move.view.target)
            return move.view

        view: MoveView = await self.database.write(write, durable=True)
        mover = self._movers.get(uid)
        if mover is not None:
            mover.cancel()
        return view

    async def take_up_moves(self) -> None:
        """Go on with what an earlier controller had begun."""
        for move in await self.database.read(moves.under_way):
            self._carry(move.view.uid)

    async def terms(self) -> Terms:
        """What counts now for who goes where."""
        return await self._terms()

    async def begin_claim(self, claim: Claim) -> None:
        """Start what was claimed, and follow it."""
        await self._begin(claim)

    def watch_of(self, attempt_id: int) -> Watch | None:
        """Who follows an attempt."""
        return self._watches.get(attempt_id)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it in the background; ended with the controller."""
        return self._go(work)

    def files_of(self, uid: str) -> asyncio.Lock:
        """Held while what a run has left somewhere goes."""
        return self._files_of(uid)

    def wake(self) -> None:
        """Look whether a run can start now."""
        self._wake.set()

    def _carry(self, uid: str) -> None:
        if uid not in self._movers:
            self._movers[uid] = Mover(self, uid)
            self._go(self._carry_out(uid))

    async def _carry_out(self, uid: str) -> None:
        try:
            await self._movers[uid].run()
        finally:
            self._movers.pop(uid, None)
            self._wake.set()
            self._wake_retention.set()

    async def _refuse_without_python(self, uid: str, node: str) -> None:
        """Who would go to this computer needs an interpreter here."""
        row = await self.database.read(lambda c: existing(c, uid))
        if node == LOCAL and row["node"] != LOCAL and await asyncio.to_thread(lambda: self.worker_python) is None:
            raise Conflict("worker.no_environment")

    async def _begin(self, claim: Claim) -> None:
        raise NotImplementedError


def _write_down(transaction: Transaction, actor: str, action: str, run: str, node: str) -> None:
    """For ever: who wanted it."""
    detail = events.dump({"node": node})
    audit.append(transaction, at=now(), actor=actor, action=action, target=run, detail=detail)
