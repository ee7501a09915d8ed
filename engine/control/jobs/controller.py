"""The loop that starts what waits, watches what runs, and lets go what has had its time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from pathlib import Path

from engine.contract.clock import now
from engine.contract.errors import Unreachable, UserError
from engine.contract.nodes import LOCAL
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.stream import Resources, RunDeleted, StreamMessage
from engine.control.executors.base import Executor, SpareStatus
from engine.control.jobs import dataset_files, queue, reconcile, requests, retention, start
from engine.control.jobs.alerts import AlertDesk
from engine.control.jobs.ears import Ears
from engine.control.jobs.health import Health
from engine.control.jobs.machine import Machine
from engine.control.jobs.news import Hub
from engine.control.jobs.pool import MakePlace, Node
from engine.control.jobs.queue import Claim
from engine.control.jobs.retry import Alarm
from engine.control.jobs.safekeeping import Safekeeping
from engine.control.jobs.serving_desk import ServingDesk
from engine.control.jobs.watch import Watch
from engine.control.store import attempts, events, nodes, runs
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
RESOURCES_EVERY_S = 1.0
RETRY_S = 2.0
RETENTION_EVERY_S = 600.0
LOOK_AGAIN_S = 5.0
"""Of several nodes one may have cooled down, or have more memory free, and nobody says so."""


class Controller(ServingDesk):
    """Everything that lives while the service runs. Made and used on its event loop."""

    def __init__(self, home: Home, database: Database, executor: Executor, make_place: MakePlace | None = None) -> None:
        super().__init__(home, database, executor, make_place)
        self.hub = Hub(asyncio.get_running_loop())
        self._ears = Ears(asyncio.get_running_loop())
        self._machine = Machine(home.root)
        self.alerts = AlertDesk(self.pool, database, self.secrets, lambda: self.settings)
        self.health = Health(self.pool, database, self.hub, self._machine, self.read_node, self._look_for_alerts)
        self._executor = executor
        self._alarm = Alarm()
        self.safekeeping = Safekeeping(home, database, self.secrets, lambda: self.settings)
        self.retention.also = self.safekeeping.have_results
        database.on_commit = self._tell

    async def begin(self) -> None:
        """Take up what an earlier controller left, then start working."""
        gpus = tuple(await asyncio.to_thread(self._machine.find_gpus))
        for row in await self.database.read(nodes.listed):
            self._ask_again_and_again(self.pool.add(row, gpus if row.name == LOCAL else ()))
        self.pool.local.facts = await asyncio.to_thread(self._machine.facts)
        await asyncio.to_thread(self.retention.remove_leftovers)
        prices, currency = self.settings.prices, self.settings.currency
        await self.database.write(lambda t: runs.set_prices(t, prices, currency))
        await asyncio.to_thread(self.environments.recover)
        await self._adopt()
        await self.take_up_moves()
        for uid in await self.database.read(_half_deleted):
            self._go(self._finish_deleting(uid))
        self._go(self._learn_needs())
        self._go(self._schedule())
        self._go(self._retain())
        self.keep_spares()
        self._go(self._tell_resources())
        self._go(self.health.run())
        self._go(self.safekeeping.run())

    def _tell(self, news: list[StreamMessage]) -> None:
        """What was committed, to all who listen; on the writer's thread."""
        self.hub.from_thread(news)
        self.safekeeping.hear(news)

    async def end(self) -> None:
        """Stop working; workers go on."""
        self.hub.close()
        self.alerts.close()
        self.safekeeping.close()
        await asyncio.to_thread(self.environments.close)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._ears.close)
        await asyncio.gather(*(asyncio.to_thread(node.close) for node in self.pool if node.name != LOCAL))

    @property
    def spare(self) -> SpareStatus:
        """How it stands with spare workers."""
        return self._executor.spare()

    def keep_spares(self) -> None:
        """Have spare workers ready, as the settings say."""
        self._executor.keep_spares(lambda: start.spare_plan(self.home, self.settings, self.worker_python))

    async def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._watches) or await self.database.read(queue.waiting) > 0

    async def resources(self) -> Resources:
        """Slots and load."""
        used, waiting = await self.database.read(lambda c: (queue.used(c), queue.waiting(c)))
        values, names = await asyncio.to_thread(self._machine.read)
        self.read_node(LOCAL, now(), values, names)
        return Resources(slots=self.slots, used=used, waiting=waiting, values=values, names=names)

    async def _schedule(self) -> None:
        """Start whatever has a slot, then wait for a reason to look again."""
        while True:
            self._wake.clear()
            try:
                wait = await asyncio.to_thread(self._alarm.ring, self.database, self.settings.retry_seconds)
                while await self._start_next():
                    pass
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._soonest(wait)):
                        await self._wake.wait()
            except Exception:
                log.exception("scheduling failed; trying again")
                await asyncio.sleep(RETRY_S)

    def _soonest(self, wait: float | None) -> float | None:
        """When to look again though nobody says that anything changed."""
        others = LOOK_AGAIN_S if len(self.pool.names) > 1 else None
        known = [seconds for seconds in (wait, self.pool.next_release(), others) if seconds is not None]
        return min(known, default=None)

    async def _start_next(self) -> bool:
        terms = await self._terms()
        claim = await self.database.write(lambda t: queue.take(t, terms, now()), durable=True)
        if claim is None:
            return False
        log.info("run %s: attempt %d starts on %s, %s", claim.uid, claim.n, claim.node, ", ".join(claim.devices) or "–")
        if claim.node == LOCAL:
            await self._begin(claim)
        else:  # bringing its model there may take long
            self._go(self._begin(claim))
        return True

    async def _begin(self, claim: Claim) -> None:
        """Start what was claimed, and follow it."""
        node = self.pool.node(claim.node)
        try:
            python = await asyncio.to_thread(lambda: self.worker_python)
            begun = await node.call(
                start.start, self.home, self.database, node, claim, python, self.settings, self.secrets,
                self.safekeeping,
            )  # fmt: skip
        except Unreachable as error:
            log.warning("run %s: %s does not answer, whether it started is not known: %s", claim.uid, node.name, error)
            node.kick.set()
            await self._take_over(claim)
            return
        except Exception:
            log.exception("run %s: its start broke off; looking what came of it", claim.uid)
            self._go(self._take_over(claim))
            return
        self._wake.set()
        row = await self.database.read(lambda c: attempts.open_attempt(c, claim.attempt_id)) if begun else None
        if row is not None:
            self._watch(row)

    async def _adopt(self) -> None:
        """Take up open attempts: those of this computer at once, others as soon as their node answers."""
        for row in await self.database.read(attempts.open_attempts):
            node = self._node_of(row)
            if node.name != LOCAL:
                self._watch(row, adopted=False)
            elif await asyncio.to_thread(reconcile.take_up, self.home, self.database, self._executor, row):
                self._watch(row)

    async def _take_over(self, claim: Claim) -> None:
        """A start that broke off half way, as the next controller would find it."""
        while True:
            try:
                row = await self.database.read(lambda c: attempts.open_attempt(c, claim.attempt_id))
                if row is not None:
                    self._watch(row, adopted=False)
                self._wake.set()
                return
            except Exception:
                log.exception("run %s: could not find out what came of its start; trying again", claim.uid)
                await asyncio.sleep(RETRY_S)

    def _node_of(self, row: sqlite3.Row) -> Node:
        return self.pool.node(row["node"] or LOCAL)

    def _watch(self, row: sqlite3.Row, adopted: bool = True) -> None:
        source, folder = reconcile.source_of(self.home, row), self.home.attempt(row["uid"], row["n"])
        node = self._node_of(row)
        watch = Watch(
            self.database, self.hub, node, folder, source, row["handle"], self._ears, lambda: self.settings, adopted
        )
        self._watches[source.attempt_id] = watch
        self._go(self._follow(watch))

    async def _follow(self, watch: Watch) -> None:
        await watch.run()
        self._watches.pop(watch.source.attempt_id, None)
        self._wake.set()
        self._wake_retention.set()

    async def _learn_needs(self) -> None:
        """What the models of waiting runs need, before a node is chosen for them."""
        specs = await self.database.read(_waiting_specs)
        for spec in specs:
            await asyncio.to_thread(self.needs.learn, spec)

    async def _retain(self) -> None:
        """Announce what will go, and let go what was announced."""
        while True:
            self._wake_retention.clear()
            try:
                await asyncio.to_thread(self.retention.plan, self.settings.keep_days)
                for uid in await asyncio.to_thread(self.retention.due):
                    async with self._files_of(uid):
                        with contextlib.suppress(UserError):  # it is noted in the run's timeline
                            await asyncio.to_thread(self.retention.clean, uid)
                await asyncio.to_thread(dataset_files.sweep, self.home, self.database)
                await self.sweep_remains()
            except Exception:
                log.exception("looking for files that may go failed; trying again later")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETENTION_EVERY_S):
                    await self._wake_retention.wait()

    async def _finish_deleting(self, uid: str) -> None:
        """Second half of deleting: the files first, then the rows, so that neither is ever left alone."""
        left_on = await self.database.read(lambda c: nodes.with_remains(c, uid))
        await asyncio.to_thread(self.safekeeping.let_go, uid)
        await asyncio.to_thread(retention.remove, self.home.run(uid))
        await asyncio.to_thread(_remove, self.home.library / uid)
        await asyncio.to_thread(dataset_files.remove_making, self.home, uid)

        def write(transaction: Transaction) -> None:
            row = transaction.one("SELECT id FROM run WHERE uid = ? AND deleting", (uid,))
            if row is None:
                return
            transaction.execute("DELETE FROM event WHERE run_id = ?", (row["id"],))
            transaction.execute("DELETE FROM run WHERE id = ?", (row["id"],))
            requests.forget(transaction, uid)
            at = now()
            cursor = events.add(transaction, "deleted", {"run": uid}, at=at)
            transaction.news.append(RunDeleted(cursor=cursor, at=at, run=uid))

        await self.database.write(write, durable=True)
        if left_on:
            self._go(self.drop_remains(uid, left_on))

    async def _look_for_alerts(self) -> None:
        for name in await self.alerts.look():
            if name in self.pool:
                await self.tell_node(self.pool.node(name))

    async def _tell_resources(self) -> None:
        while True:
            if len(self.hub):
                with contextlib.suppress(sqlite3.Error, UserError):  # a full disk: there is a next time
                    self.hub.publish([await self.resources()])
            await asyncio.sleep(RESOURCES_EVERY_S)


def _half_deleted(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT uid FROM run WHERE deleting")]


def _waiting_specs(connection: sqlite3.Connection) -> list[RunSpec]:
    """One of each model that waits."""
    rows = connection.execute(
        "SELECT spec FROM run JOIN run_spec ON run_id = id WHERE state = 'queued' AND deleting = 0 "
        "GROUP BY json_extract(spec, '$.job.model') LIMIT 1000"
    )
    return [RunSpec.model_validate_json(row[0]) for row in rows]


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
