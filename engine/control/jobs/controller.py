"""The loop that starts what waits and watches what runs, and what the API asks of it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import shutil
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from engine.contract import logs
from engine.contract.api import EditRun, RunSummary, Settings
from engine.contract.clock import now
from engine.contract.errors import Conflict, UserError
from engine.contract.events import Resources, RunDeleted
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.control.executors.base import Executor
from engine.control.jobs import commands, queue, reconcile, settings, start
from engine.control.jobs.commands import Request
from engine.control.jobs.machine import Machine
from engine.control.jobs.news import Hub
from engine.control.jobs.watch import Watch
from engine.control.store import attempts, events
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
RESOURCES_EVERY_S = 1.0
RETRY_S = 2.0


class Controller:
    """Everything that lives while the service runs. Made and used on its event loop."""

    def __init__(self, home: Home, database: Database, executor: Executor) -> None:
        self.home = home
        self.database = database
        self.hub = Hub(asyncio.get_running_loop())
        self.settings = settings.load(home)
        self.gpus: list[str] = []
        self._machine = Machine()
        self._executor = executor
        self._watches: dict[int, Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        database.on_commit = self.hub.from_thread

    async def begin(self) -> None:
        """Take up what an earlier controller left, then start working."""
        self.gpus = await asyncio.to_thread(self._machine.find_gpus)
        for row in await asyncio.to_thread(reconcile.adopt, self.home, self.database, self._executor):
            self._watch(row)
        for uid in await self.database.read(_half_deleted):
            self._go(self._finish_deleting(uid))
        self._go(self._schedule())
        self._go(self._tell_resources())

    async def end(self) -> None:
        """Stop working; workers go on."""
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def slots(self) -> dict[str, int]:
        """Lane to number of slots."""
        return queue.slots(self.settings.slots, self.gpus)

    @property
    def worker_python(self) -> str | None:
        """The interpreter local workers would use."""
        return settings.worker_python(self.home, self.settings)

    async def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._watches) or await self.database.read(queue.waiting) > 0

    async def create(self, spec: RunSpec, start_now: bool, request: Request) -> RunSummary:
        """Make a run; a run that is to start is checked whole before."""
        if start_now:
            await self._refuse_unless_startable(spec)
        owner = _owner()
        return await self._command(request, lambda t: commands.create(t, spec, start_now, owner, request.actor))

    async def edit(self, uid: str, change: EditRun, request: Request) -> RunSummary:
        """Change a draft, a priority, a name, tags."""
        return await self._command(request, lambda t: commands.edit(t, uid, change, request.actor))

    async def start(self, uid: str, request: Request) -> RunSummary:
        """Queue a draft, or once more a run that failed or was stopped."""
        row = await self.database.read(lambda c: commands.existing(c, uid))
        await self._refuse_unless_startable(RunSpec.model_validate_json(row["spec"]))
        return await self._command(request, lambda t: commands.start(t, uid, request.actor))

    async def stop(self, uid: str, save: bool, request: Request) -> RunSummary:
        """End a run; a worker is asked first."""
        summary = await self._command(request, lambda t: commands.stop(t, uid, save, request.actor))
        for watch in self._watches.values():
            if watch.source.uid == uid:
                watch.ask_to_stop(save)
        return summary

    async def copy(self, uid: str, request: Request) -> RunSummary:
        """A draft with the same spec."""
        owner = _owner()
        return await self._command(request, lambda t: commands.copy(t, uid, owner, request.actor))

    async def delete(self, uid: str, request: Request) -> None:
        """Remove a run with everything that belongs to it."""
        await self.database.write(lambda t: commands.delete_once(t, request, uid), durable=True)
        await asyncio.shield(self._go(self._finish_deleting(uid)))

    async def change_settings(self, change: Settings) -> Settings:
        """Keep changed settings; fields that were not sent stay."""
        changed = self.settings.model_copy(update=change.model_dump(exclude_unset=True))
        await asyncio.to_thread(settings.save, self.home, changed)
        self.settings = changed
        logs.apply(changed.log_level, changed.log_json)
        self._wake.set()
        return changed

    async def resources(self) -> Resources:
        """Slots and load."""
        used, waiting = await self.database.read(lambda c: (queue.used(c), queue.waiting(c)))
        values, names = await asyncio.to_thread(self._machine.read)
        return Resources(slots=self.slots, used=used, waiting=waiting, values=values, names=names)

    async def _command(self, request: Request, work: Callable[[Transaction], RunSummary]) -> RunSummary:
        answer: RunSummary = await self.database.write(lambda t: commands.once(t, request, work), durable=True)
        self._wake.set()
        return answer

    async def _refuse_unless_startable(self, spec: RunSpec) -> None:
        await asyncio.to_thread(commands.refuse_unless_runnable, spec)
        if not await asyncio.to_thread(lambda: self.worker_python):
            raise Conflict("worker.no_environment")

    async def _schedule(self) -> None:
        """Start whatever has a slot, then wait for a reason to look again."""
        while True:
            self._wake.clear()
            try:
                while await self._start_next():
                    pass
                await self._wake.wait()
            except Exception:
                log.exception("scheduling failed; trying again")
                await asyncio.sleep(RETRY_S)

    async def _start_next(self) -> bool:
        claim = await self.database.write(
            lambda t: queue.take_next(t, self.slots, self.gpus, self._executor.name, now()), durable=True
        )
        if claim is None:
            return False
        log.info("run %s: attempt %d starts on %s", claim.uid, claim.n, ", ".join(claim.devices) or "no device")
        python = await asyncio.to_thread(lambda: self.worker_python)
        begun = await asyncio.to_thread(start.start, self.home, self.database, self._executor, claim, python)
        if begun:
            row = await self.database.read(lambda c: attempts.open_attempt(c, claim.attempt_id))
            if row is not None:
                self._watch(row)
        return True

    def _watch(self, row: sqlite3.Row) -> None:
        source, folder = reconcile.source_of(self.home, row), self.home.attempt(row["uid"], row["n"])
        watch = Watch(self.database, self.hub, self._executor, folder, source, row["handle"])
        watch.stop_grace_s = self.settings.stop_grace_seconds
        self._watches[source.attempt_id] = watch
        self._go(self._follow(watch))

    async def _follow(self, watch: Watch) -> None:
        await watch.run()
        self._watches.pop(watch.source.attempt_id, None)
        self._wake.set()

    async def _finish_deleting(self, uid: str) -> None:
        """Second half of deleting: the folder first, then the row, so that neither is ever left alone."""
        await asyncio.to_thread(_remove, self.home.run(uid))

        def write(transaction: Transaction) -> None:
            row = transaction.one("SELECT id FROM run WHERE uid = ? AND deleting", (uid,))
            if row is None:
                return
            transaction.execute("DELETE FROM event WHERE run_id = ?", (row["id"],))
            transaction.execute("DELETE FROM run WHERE id = ?", (row["id"],))
            at = now()
            cursor = events.add(transaction, "deleted", {"run": uid}, at=at)
            transaction.news.append(RunDeleted(cursor=cursor, at=at, run=uid))

        await self.database.write(write, durable=True)

    async def _tell_resources(self) -> None:
        while True:
            if len(self.hub):
                with contextlib.suppress(sqlite3.Error, UserError):  # a full disk: there is a next time
                    self.hub.publish([await self.resources()])
            await asyncio.sleep(RESOURCES_EVERY_S)

    def _go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _half_deleted(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT uid FROM run WHERE deleting")]


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
