"""Follows one attempt from the start of its worker to the end: journal in, wishes out, end decided.

What the worker writes is taken in as soon as it is heard (`ears.py`); everything else is looked at now and then.

Whatever its node's executor cannot answer leaves everything as it is: the run is marked unreachable, its silence
does not count, and the watch goes on asking as soon as the node answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from engine.contract import logfile
from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.commands import WorkerCommand
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason, Mark
from engine.contract.stream import LogGrew, RunChanged, RunEvent
from engine.control.executors.base import Executor, Exit
from engine.control.jobs import reconcile, retry
from engine.control.jobs.ears import Ears
from engine.control.jobs.ending import Verdict, verdict
from engine.control.jobs.ingest import Ingest, Source
from engine.control.jobs.news import Hub
from engine.control.jobs.pool import Node
from engine.control.jobs.retention import prune_aside
from engine.control.jobs.silence import Silence
from engine.control.jobs.wishes import Wishes
from engine.control.store import attempts, events, runs
from engine.control.store.database import Database, Transaction

T = TypeVar("T")
log = logging.getLogger(__name__)
ACTOR = "controller"
POLL_S = 0.25
"""Between two looks at everything. What is written, an end and a wish need not wait for one."""
AWAY_POLL_S = 0.5
FAREWELL_S = 30.0
"""How long a worker may live on after its last word."""
SILENT_AFTER_S = 30.0
"""Workers write a line a second; silent for so long is worth a remark."""
RETRY_S = 1.0
MEMORY_FULL = 0.95
MARK_AFTER_S = 2.0
"""A node that does not answer for a shorter time is not worth a remark."""


class Away(Exception):
    """The node cannot say anything now."""


class Watch:
    """One live attempt."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        node: Node,
        folder: AttemptFolder,
        source: Source,
        handle: str,
        ears: Ears,
        settings: Callable[[], Settings] = Settings,
        adopted: bool = True,
    ) -> None:
        self.source = source
        self.node = node
        self._database = database
        self._hub = hub
        self._folder = folder
        self._handle = handle
        self._settings = settings
        self._generation = node.generation if adopted else -1
        self._ingest = Ingest(database, source)
        self._ears, self._ear = ears, ears.listen(source.path, folder.log, folder.exit)
        self._behind, self._heard, self._hurry = False, False, False
        self._wishes = Wishes(lambda: node.executor, folder, handle)
        self._silence = Silence()
        self._away_since: float | None = None
        self._abandoned = False
        self._away_marked = False
        self._log_size = -1
        self._looked_back = False
        self._seen_alive = False
        self._began = False
        self._marked = False
        self._hang_minutes = 15.0
        self._hung = False
        self._farewell: float | None = None

    def ask(self, verb: str) -> None:
        """Pass on a person's wish for the end: pause, stop, stop_without_saving."""
        self._wishes.ask(verb)
        self._hurry = True
        self._ear.grew.set()

    def abandon(self) -> None:
        """The attempt was given up: look no more."""
        self._abandoned = True

    async def send(self, command: WorkerCommand) -> None:
        """Hand the worker a command that does not end it."""
        await self.node.call(self._wishes.send, command)

    async def run(self) -> None:
        """Until the attempt has ended. Whatever fails on the way is logged and tried again."""
        try:
            while not self._abandoned and not await self._look():
                pass
        finally:
            self._ears.forget(self._ear)

    async def _look(self) -> bool:
        """One look at everything, and what is written until the next; True once the attempt has ended."""
        try:
            try:
                if await self._round():
                    return True
                await self._back()
                await self._listen()
            except Away:
                await self._mind_absence()
                await asyncio.sleep(AWAY_POLL_S)
        except Exception:
            log.exception("run %s: watching it failed; trying again", self.source.uid)
            await asyncio.sleep(RETRY_S)
        return False

    async def _listen(self) -> None:
        """Until the next look, which is soon after an end or a wish: take in at once what the worker writes."""
        end = time.monotonic() + POLL_S
        while not self._hurry and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._ear.grew.wait()
            await self._take_in()

    async def _round(self) -> bool:
        """One look at everything; True once the attempt has ended."""
        if not self._looked_back:
            await self._look_back()
        self._hurry = False
        if self.node.reach in ("checking", "unreachable"):
            raise Away
        if self._generation != self.node.generation and not await self._adopt():
            return True
        ended = await self._ask(lambda executor: executor.poll(self._folder, self._handle))
        self._seen_alive = self._seen_alive or ended is None
        await self._take_in(everything=ended is not None)
        if ended is not None:
            await self._end(ended)
            return True
        heard, self._heard = self._heard, False
        if heard:
            self._began = True
            self.node.well()
        await self._mind_silence(self._silence.look(heard))
        await self._obey()
        await self._see_off()
        return False

    async def _ask(self, work: Callable[[Executor], T]) -> T:
        """Ask the node's executor; Away, and the node is asked at once whether it answers at all, if it cannot say."""
        try:
            return await self.node.call(lambda: work(self.node.executor))
        except UserError as error:
            log.info("run %s: %s does not say: %s", self.source.uid, self.node.name, error)
            self.node.kick.set()
            raise Away from error

    async def _adopt(self) -> bool:
        """Take the attempt up where it works; False, and it is over, if there is no such worker."""
        generation = self.node.generation
        if await self._ask(lambda executor: executor.adopt(self._folder, self._handle, self.source.lease)):
            self._generation = generation
            return True
        if self._ingest.said_goodbye or self._began:
            await self._end(Exit())
        else:
            await asyncio.to_thread(reconcile.never_started, self._database, self._folder, self.source)
        return False

    async def _look_back(self) -> None:
        """What was written down before this watch began."""
        row = await self._database.read(lambda c: attempts.get(c, self.source.attempt_id))
        run = await self._database.read(lambda c: runs.summary(c, self.source.run_id))
        if row is not None:
            if row["stop_asked"]:
                self.ask(row["stop_verb"] or ("stop" if row["stop_save"] else "stop_without_saving"))
            self._ingest.said_goodbye = row["last_word"] is not None
            self._hang_minutes = RunSpec.model_validate_json(row["spec"]).limits.hang_minutes
        self._began = await self._database.read(lambda c: attempts.position(c, self.source.attempt_id).seq) > 0
        self._marked = run.mark is Mark.NOT_RESPONDING
        self._away_marked = run.mark is Mark.UNREACHABLE
        self._looked_back = True

    async def _take_in(self, everything: bool = False) -> None:
        """What was written since, if anything was heard; and whatever there is once nothing can come any more."""
        if not (everything or self._behind or self._ear.grew.is_set()):
            return
        self._ear.grew.clear()
        self._behind = True  # also where this fails
        size, gone = await asyncio.to_thread(self._read, everything)
        self._behind, self._hurry = False, self._hurry or gone
        if size != self._log_size:
            self._log_size, self._heard = size, True
            self._hub.publish([LogGrew(run=self.source.uid, attempt=self.source.n, size=size)])

    def _read(self, everything: bool) -> tuple[int, bool]:
        """The journal into the history; the size of the log, and whether the end is written down."""
        while self._ingest.pull():
            self._heard = True
            if not (everything or self._ingest.has_more):
                break
        return logfile.size(self._folder.log), self._folder.exit.exists()

    async def _mind_silence(self, silent: float) -> None:
        """Remark on a worker that says nothing, take it back when it speaks, end it when it hangs."""
        hang_s = self._hang_minutes * 60
        if silent >= SILENT_AFTER_S and await self._still_prepared():
            self._silence.hold(0.0)
            return
        if silent >= SILENT_AFTER_S and not self._marked:
            self._marked = True
            params = {"seconds": round(silent), "minutes": self._hang_minutes}
            await self._database.write(lambda t: self._mark(t, Mark.NOT_RESPONDING, "run.not_responding", **params))
        elif self._marked and silent == 0:
            self._marked = False
            await self._database.write(lambda t: self._mark(t, None, "run.responding"))
        if silent >= hang_s and not self._hung:
            if await self._ask(lambda executor: executor.frozen(self._folder, self._handle)):
                self._silence.hold(hang_s)
                return
            log.warning("run %s: silent for %.0f s, its worker is ended", self.source.uid, silent)
            await self._kill()
            self._hung = True

    async def _still_prepared(self) -> bool:
        """Its inputs are on their way to the node: there is no worker yet that could speak."""
        if self._began or not self.node.docker:
            return False
        return await self._ask(lambda executor: executor.frozen(self._folder, self._handle))

    async def _kill(self) -> None:
        await self._ask(lambda executor: executor.kill(self._folder, self._handle))

    async def _mind_absence(self) -> None:
        """Remark on a node that does not answer, once it has not for a moment."""
        clock = time.monotonic()
        self._away_since = self._away_since or clock
        if self._away_marked or self.node.reach == "checking" or clock - self._away_since < MARK_AFTER_S:
            return
        log.warning("run %s: %s does not answer", self.source.uid, self.node.name)
        await self._database.write(
            lambda t: self._mark(t, Mark.UNREACHABLE, "run.unreachable", node=self.node.name), durable=True
        )
        self._away_marked, self._marked = True, False

    async def _back(self) -> None:
        """It answers again: the mark goes."""
        self._away_since = None
        if self._away_marked:
            await self._database.write(self._unmark_away, durable=True)
            self._away_marked = False

    def _unmark_away(self, transaction: Transaction) -> None:
        row = transaction.one("SELECT mark_since FROM run WHERE id = ?", (self.source.run_id,))
        away = now() - row["mark_since"] if row is not None and row["mark_since"] is not None else 0.0
        self._mark(transaction, None, "run.reachable", node=self.node.name, seconds=round(max(0.0, away)))

    async def _obey(self) -> None:
        if self._wishes.wish is None:
            return
        grace = self._settings().stop_grace_seconds
        note = await self._ask(lambda _executor: self._wishes.obey(grace))
        if note is not None:
            code, seconds = note
            await self._database.write(lambda t: self._note(t, code, seconds=round(seconds)))

    async def _see_off(self) -> None:
        """End a worker that has said its last word and does not go."""
        if self._ingest.said_goodbye and self._farewell is None:
            self._farewell = time.monotonic()
        if self._farewell is not None and time.monotonic() - self._farewell > FAREWELL_S:
            await self._kill()

    def _mark(self, transaction: Transaction, mark: Mark | None, code: str, **params: object) -> None:
        source, at = self.source, now()
        transaction.execute(
            "UPDATE run SET mark = ?, mark_since = ? WHERE id = ?", (mark, at if mark else None, source.run_id)
        )
        cursor = events.add(
            transaction, "mark", {"mark": mark}, at=at, run_id=source.run_id, attempt_id=source.attempt_id, actor=ACTOR
        )
        summary = runs.summary(transaction.connection, source.run_id)
        transaction.news.append(RunChanged(cursor=cursor, at=at, actor=ACTOR, run=summary, mark=mark))
        self._note(transaction, code, **params)

    def _note(self, transaction: Transaction, code: str, **params: object) -> None:
        source, at, level = (
            self.source,
            now(),
            events.INFO if code in ("run.responding", "run.reachable") else events.WARNING,
        )
        body = {"level": "info" if level == events.INFO else "warning", "code": code, "params": params}
        cursor = events.add(
            transaction, "note", body, at=at, run_id=source.run_id, attempt_id=source.attempt_id,
            level=level, actor=ACTOR,
        )  # fmt: skip
        transaction.news.append(
            RunEvent(cursor=cursor, at=at, run=source.uid, attempt=source.n, kind="note", level=level, body=body)
        )

    async def _end(self, ended: Exit) -> None:
        source = self.source
        late = None if self._seen_alive else ended.at  # no controller was there: that time is not the run's
        settings, node = self._settings(), self.node
        end = retry.Ending(source.run_id, source.attempt_id, source.lease, settings.retry_seconds, late, node.name)
        hung = self._hang_minutes if self._hung else None

        def write(transaction: Transaction) -> Verdict | None:
            row = attempts.get(transaction.connection, source.attempt_id)
            if row is None:
                return None
            code = ended.code if ended.signal is None else -ended.signal
            transaction.execute("UPDATE member SET exit_code = ? WHERE attempt_id = ?", (code, source.attempt_id))
            found = verdict(ended, row, hung)
            if node.docker:
                attempts.keep_remains(transaction, source.attempt_id, now(), settings.keep_days)
            retry.conclude(transaction, end, _killed_for_memory(transaction, source.run_id, ended, found))
            return found

        await asyncio.to_thread(prune_aside, self._folder)
        found = await self._database.write(write, durable=True)
        if found is not None and found.of_node and found.error is not None:
            node.failed(found.error, settings.retry_seconds)


def _killed_for_memory(transaction: Transaction, run_id: int, ended: Exit, found: Verdict) -> Verdict:
    """The system ends processes when memory runs out: say so where the last reading speaks for it."""
    if found.reason is not EndReason.WORKER_KILLED or ended.signal != 9:
        return found
    last = dict(
        transaction.execute(
            "SELECT metric.name, series.last FROM series JOIN metric ON metric.id = series.metric_id "
            "WHERE run_id = ? AND metric.name IN ('ram.used', 'ram.total')",
            (run_id,),
        ).fetchall()
    )
    used, total = last.get("ram.used") or 0.0, last.get("ram.total") or 0.0
    if not total or used < MEMORY_FULL * total:
        return found
    error = UserError("worker.killed_memory", signal=9, percent=round(100 * used / total)).body()
    return Verdict(found.state, found.reason, error, found.again)
