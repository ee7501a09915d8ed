"""Takes one run from a node to another: save, stop, copy, verify, start there, and only then let go of the source.

What has happened stands in the history, so that whoever comes after a crash goes on from there. Whatever fails, the
run goes on where it was, from the same checkpoint; until its first step on the target its place there is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.faults import fault
from engine.contract.paths import Home
from engine.contract.run_spec import AttemptOrder
from engine.contract.states import RunState
from engine.contract.stream import MoveChanged
from engine.control.executors.base import Launch
from engine.control.executors.stage import Stage
from engine.control.jobs import move_facts, move_steps
from engine.control.jobs.move_facts import Facts
from engine.control.jobs.news import Hub
from engine.control.jobs.pool import Pool
from engine.control.jobs.queue import Claim, Terms
from engine.control.jobs.watch import Watch
from engine.control.store import moves
from engine.control.store.database import Database
from engine.control.store.moves import Move

log = logging.getLogger(__name__)
LOOK_S = 0.1
RETRY_S = 1.0
PATIENCE_S = 60.0
"""How long a target may be silent while the run starts there."""
TELL_EVERY_S = 0.2
MOST_TRIES = 3
"""Starts on the target that were lost with a controller."""


class Cancelled(UserError):
    """A person gave the move up."""


class Host(Protocol):
    """What a move needs of the controller."""

    home: Home
    settings: Settings
    database: Database
    pool: Pool
    hub: Hub

    async def terms(self) -> Terms:
        """What counts now for who goes where."""

    async def begin_claim(self, claim: Claim) -> None:
        """Start what was claimed, and follow it."""

    async def drop_remains(self, uid: str, names: Sequence[str] | None = None) -> None:
        """What a run has left on nodes goes."""

    def watch_of(self, attempt_id: int) -> Watch | None:
        """Who follows an attempt."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it in the background."""

    def files_of(self, uid: str) -> asyncio.Lock:
        """Held while what a run has left somewhere goes."""


@dataclass
class Told:
    """What was last told of a copy."""

    at: float = 0.0
    done: int = 0


class Mover:
    """One move."""

    def __init__(self, host: Host, uid: str) -> None:
        self._host = host
        self._uid = uid
        self._cancelled = False
        self._silent_since: float | None = None
        self._begun: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """A person gave it up: what waits for a node breaks off."""
        self._cancelled = True

    async def run(self) -> None:
        """Until it is over. What fails on the way is not the end: the run goes back where it was."""
        while True:
            try:
                facts = await self._host.database.read(lambda c: move_facts.look(c, self._uid))
                if facts is None or facts.move.view.state != "running":
                    return
                self._cancelled = self._cancelled or facts.move.details.cancelled
                try:
                    await self._round(facts)
                except UserError as error:
                    log.warning("run %s: moving it failed: %s", facts.uid, error.text)
                    await self._failed(error)
                await asyncio.sleep(LOOK_S)
            except Exception:
                log.exception("move %s: a step failed; trying again", self._uid)
                await asyncio.sleep(RETRY_S)

    async def _round(self, facts: Facts) -> None:
        """One look, and what follows from it. Where a node is being asked whether it answers, that is waited for."""
        pool, view = self._host.pool, facts.move.view
        if any(name in pool and pool.node(name).reach == "checking" for name in (view.source, view.target)):
            return
        if facts.move.details.arrived is not None:
            await self._arriving(facts)
        elif facts.left_open:
            await self._leaving(facts)
        elif not facts.gave_way:
            await self._over_by_itself(facts)
        elif facts.move.details.error is not None or self._cancelled:
            await self._go_back(facts)
        else:
            await self._cross(facts)

    async def _leaving(self, facts: Facts) -> None:
        """The source is at work: make the target ready, then have it save and stop."""
        move = facts.move
        if not move.details.asked:
            if move.details.error is not None or self._cancelled:
                await self._clear_target(facts)  # before it is over: who moves it again finds nothing that goes
                await self._write(facts, move_steps.end_untouched)
                return
            await self._make_ready(facts)
            self._check()
            await self._write(facts, move_steps.ask)
            fault("moving.after_ask")
            watch = self._host.watch_of(facts.left_id)
            if watch is not None:
                watch.ask("move")
            return
        found = await asyncio.to_thread(move_facts.leaving, self._host.home, facts)
        if found is not None and found != move.view:
            await self._save(move.with_view(**found.model_dump(include={"step", "train_step", "bytes", "bytes_total"})))

    async def _make_ready(self, facts: Facts) -> None:
        """Whatever the target lacks is noticed, and brought, while the source trains."""
        view = facts.move.view
        target = self._host.pool.node(view.target)
        stage = target.place.stage if target.place is not None else None
        if stage is None:
            return
        folder = self._host.home.attempt(facts.uid, facts.move.details.left)
        order = await asyncio.to_thread(lambda: AttemptOrder.model_validate_json(folder.order.read_bytes()))
        launch = Launch(folder, [], order=order, owner=facts.owner)
        await target.call(stage.ready, launch, self._check)

    async def _cross(self, facts: Facts) -> None:
        """The source has stopped, and all of it is here: bring the checkpoint over, verify it, start there."""
        fault("moving.after_stop")
        move, home = facts.move, self._host.home
        if facts.checkpoint is not None:
            path = home.run(facts.uid) / facts.checkpoint.path
            ours = await asyncio.to_thread(move_facts.verified, path)
            total = sum(mark.bytes for mark in ours.files.values())
            move = move.with_view(step="copying", train_step=ours.step, bytes=0, bytes_total=total)
            move = move.with_details(checkpoint=facts.checkpoint.id)
            await self._save(move)
            target = self._host.pool.node(move.view.target)
            stage = target.place.stage if target.place is not None else None
            if stage is not None:
                await self._copy(facts, move, stage, path)
            move = move.with_view(step="verifying", bytes=total)
            await self._save(move)
            if stage is not None:
                folder = home.attempt(facts.uid, move.details.left)
                theirs = await target.call(stage.sums, folder, path)
                move_facts.compare(ours, theirs, move.view.target)
        fault("moving.after_copy")
        self._check()
        terms = await self._host.terms()
        move = move.with_view(step="starting")
        claim = await self._host.database.write(
            lambda t: move_steps.claim_target(t, move, terms, now()), durable=True
        )  # fmt: skip
        if claim is None:
            return  # the next look sees what was wished
        fault("moving.after_claim")
        self._silent_since = None
        self._begun = self._host.spawn(self._host.begin_claim(claim))

    async def _copy(self, facts: Facts, move: Move, stage: Stage, path: Path) -> None:
        told, loop = Told(), asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            at = time.monotonic()
            if at - told.at >= TELL_EVERY_S or done >= total:
                told.at = at
                view = move.view.model_copy(update={"bytes": done, "bytes_total": total})
                loop.call_soon_threadsafe(self._host.hub.publish, [MoveChanged(move=view)])

        folder = self._host.home.attempt(facts.uid, move.details.left)
        target = self._host.pool.node(move.view.target)
        await target.call(stage.send, folder, path, tell, self._check)

    async def _arriving(self, facts: Facts) -> None:
        """It was started on the target: wait for its first step."""
        if facts.stepped:
            await self._finish(facts)
        elif facts.arrived_open:
            await self._mind_target(facts)
        elif facts.state in (RunState.STOPPED, RunState.PAUSED, RunState.COMPLETED):
            await self._over_by_itself(facts)
        elif facts.lost_in_start and facts.move.details.tries < MOST_TRIES and not self._cancelled:
            again = facts.move.with_details(arrived=None, tries=facts.move.details.tries + 1)
            await self._save(again)
        else:
            await self._go_back(facts)

    async def _mind_target(self, facts: Facts) -> None:
        """A target that falls silent, or that nobody wants any more, is given up."""
        name = facts.move.view.target
        target = self._host.pool.node(name)
        silent = target.reach == "unreachable"
        self._silent_since = (self._silent_since or time.monotonic()) if silent else None
        if self._cancelled and not silent:
            folder = self._host.home.attempt(facts.uid, facts.move.details.arrived or 0)
            watch = self._host.watch_of(facts.arrived_id or 0)
            if watch is not None:
                with contextlib.suppress(UserError):
                    await target.call(lambda: target.executor.kill(folder, facts.arrived_handle))
            return
        if self._silent_since is None:
            return
        if self._cancelled or time.monotonic() - self._silent_since > PATIENCE_S:
            error, keep_days = UserError("move.target_silent", node=name), self._host.settings.keep_days
            watch = self._host.watch_of(facts.arrived_id or 0)
            if watch is not None:
                watch.abandon()
            await self._host.database.write(
                lambda t: move_steps.give_up_target(t, facts, error.body(), keep_days), durable=True
            )

    async def _finish(self, facts: Facts) -> None:
        """It works there: the source lets go of what it has."""
        fault("moving.before_release")
        measured = await asyncio.to_thread(move_facts.downtime, self._host.home, facts, now())
        move = facts.move.with_view(step="releasing", downtime=measured)
        await self._save(move)
        await self._host.drop_remains(facts.uid, [move.view.source])
        await self._host.database.write(lambda t: move_steps.done(t, move, now()), durable=True)

    async def _go_back(self, facts: Facts) -> None:
        """It goes on where it was, from the same checkpoint."""
        fault("moving.before_back")
        terms = await self._host.terms()
        error = facts.move.details.error or facts.error
        if error is None:
            code = "move.cancelled" if self._cancelled else "move.start_failed"
            error = UserError(code, node=facts.move.view.target).body()
        state: Any = "cancelled" if self._cancelled else "failed"
        claim = await self._host.database.write(
            lambda t: move_steps.go_back(t, facts, terms, error, state, now()), durable=True
        )
        self._host.spawn(self._clear_target(facts))
        if claim is not None:
            self._host.spawn(self._host.begin_claim(claim))

    async def _clear_target(self, facts: Facts) -> None:
        """What was laid there is of no use any more."""
        view, pool = facts.move.view, self._host.pool
        if view.target not in pool or view.source not in pool:
            return
        target, source = pool.node(view.target), pool.node(view.source)
        place = target.place
        same = target.facts.engine_id and target.facts.engine_id == source.facts.engine_id
        if place is not None and place.remove is not None and target.reach == "reachable" and not same:
            with contextlib.suppress(UserError):
                async with self._host.files_of(facts.uid):
                    await target.call(place.remove, facts.uid)

    async def _over_by_itself(self, facts: Facts) -> None:
        """The run came to another end meanwhile, or a person wished otherwise: there is nothing to move."""
        await self._write(facts, move_steps.overtaken)
        self._host.spawn(self._clear_target(facts))

    async def _failed(self, error: UserError) -> None:
        """Write down why it goes back; the next look does what is to be done."""

        def write(transaction: Any) -> None:
            move = moves.find(transaction.connection, self._uid)
            if move is not None and move.view.state == "running" and move.details.error is None:
                moves.save(transaction, move.with_details(error=error.body(), cancelled=self._cancelled))

        await self._host.database.write(write, durable=True)

    def _check(self) -> None:
        if self._cancelled:
            raise Cancelled("move.cancelled", node="")

    async def _save(self, move: Move) -> None:
        await self._host.database.write(lambda t: moves.save(t, move), durable=True)

    async def _write(self, facts: Facts, work: Any) -> None:
        await self._host.database.write(lambda t: work(t, facts, self._cancelled, now()), durable=True)
