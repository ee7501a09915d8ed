"""Follows one attempt from the start of its worker to the end: journal in, wishes out, end decided."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from engine.contract import logfile
from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.commands import WorkerCommand
from engine.contract.errors import UserError
from engine.contract.events import LogGrew, RunChanged, RunEvent
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason, Mark
from engine.control.executors.base import Executor, Exit
from engine.control.jobs import retry
from engine.control.jobs.ending import Verdict, verdict
from engine.control.jobs.ingest import Ingest, Source
from engine.control.jobs.news import Hub
from engine.control.jobs.retention import prune_aside
from engine.control.jobs.silence import Silence
from engine.control.jobs.wishes import Wishes
from engine.control.store import attempts, events, runs
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
ACTOR = "controller"
POLL_S = 0.05
"""A step waits half of it on average before it is read: the largest part of its way to the screen."""
FAREWELL_S = 30.0
"""How long a worker may live on after its last word."""
SILENT_AFTER_S = 30.0
"""Workers write a line a second; silent for so long is worth a remark."""
RETRY_S = 1.0
MEMORY_FULL = 0.95


class Watch:
    """One live attempt."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        executor: Executor,
        folder: AttemptFolder,
        source: Source,
        handle: str,
        settings: Callable[[], Settings] = Settings,
    ) -> None:
        self.source = source
        self._database = database
        self._hub = hub
        self._executor = executor
        self._folder = folder
        self._handle = handle
        self._settings = settings
        self._ingest = Ingest(database, source)
        self._wishes = Wishes(executor, folder, handle)
        self._silence = Silence()
        self._log_size = -1
        self._looked_back = False
        self._seen_alive = False
        self._marked = False
        self._hang_minutes = 15.0
        self._hung = False
        self._farewell: float | None = None

    def ask(self, verb: str) -> None:
        """Pass on a person's wish for the end: pause, stop, stop_without_saving."""
        self._wishes.ask(verb)

    async def send(self, command: WorkerCommand) -> None:
        """Hand the worker a command that does not end it."""
        await asyncio.to_thread(self._wishes.send, command)

    async def run(self) -> None:
        """Until the attempt has ended. Whatever fails on the way is logged and tried again."""
        while True:
            try:
                if await self._round():
                    return
            except Exception:
                log.exception("run %s: watching it failed; trying again", self.source.uid)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(POLL_S)

    async def _round(self) -> bool:
        """One look at everything; True once the attempt has ended."""
        if not self._looked_back:
            await self._look_back()
        ended = await asyncio.to_thread(self._executor.poll, self._folder, self._handle)
        self._seen_alive = self._seen_alive or ended is None
        heard = False
        while await asyncio.to_thread(self._ingest.pull):
            heard = True
        heard = await self._tell_log_size() or heard
        if ended is not None:
            await self._end(ended)
            return True
        await self._mind_silence(self._silence.look(heard))
        await self._obey()
        await self._see_off()
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
        self._marked = run.mark is not None
        self._looked_back = True

    async def _tell_log_size(self) -> bool:
        """Tell listeners that the log grew; whether it did."""
        size = await asyncio.to_thread(logfile.size, self._folder.log)
        if size == self._log_size:
            return False
        self._log_size = size
        self._hub.publish([LogGrew(run=self.source.uid, attempt=self.source.n, size=size)])
        return True

    async def _mind_silence(self, silent: float) -> None:
        """Remark on a worker that says nothing, take it back when it speaks, end it when it hangs."""
        hang_s = self._hang_minutes * 60
        if silent >= SILENT_AFTER_S and not self._marked:
            self._marked = True
            params = {"seconds": round(silent), "minutes": self._hang_minutes}
            await self._database.write(lambda t: self._mark(t, Mark.NOT_RESPONDING, "run.not_responding", **params))
        elif self._marked and silent == 0:
            self._marked = False
            await self._database.write(lambda t: self._mark(t, None, "run.responding"))
        if silent >= hang_s and not self._hung:
            if await asyncio.to_thread(self._executor.frozen, self._folder, self._handle):
                self._silence.hold(hang_s)
                return
            log.warning("run %s: silent for %.0f s, its worker is ended", self.source.uid, silent)
            self._hung = True
            await asyncio.to_thread(self._executor.kill, self._folder, self._handle)

    async def _obey(self) -> None:
        note = await asyncio.to_thread(self._wishes.obey, self._settings().stop_grace_seconds)
        if note is not None:
            code, seconds = note
            await self._database.write(lambda t: self._note(t, code, seconds=round(seconds)))

    async def _see_off(self) -> None:
        """End a worker that has said its last word and does not go."""
        if self._ingest.said_goodbye and self._farewell is None:
            self._farewell = time.monotonic()
        if self._farewell is not None and time.monotonic() - self._farewell > FAREWELL_S:
            await asyncio.to_thread(self._executor.kill, self._folder, self._handle)

    def _mark(self, transaction: Transaction, mark: Mark | None, code: str, **params: object) -> None:
        source, at = self.source, now()
        transaction.execute("UPDATE run SET mark = ? WHERE id = ?", (mark, source.run_id))
        cursor = events.add(
            transaction, "mark", {"mark": mark}, at=at, run_id=source.run_id, attempt_id=source.attempt_id, actor=ACTOR
        )
        summary = runs.summary(transaction.connection, source.run_id)
        transaction.news.append(RunChanged(cursor=cursor, at=at, actor=ACTOR, run=summary, mark=mark))
        self._note(transaction, code, **params)

    def _note(self, transaction: Transaction, code: str, **params: object) -> None:
        source, at, level = self.source, now(), events.INFO if code == "run.responding" else events.WARNING
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
        end = retry.Ending(source.run_id, source.attempt_id, source.lease, self._settings().retry_seconds, late)
        hung = self._hang_minutes if self._hung else None

        def write(transaction: Transaction) -> None:
            row = attempts.get(transaction.connection, source.attempt_id)
            if row is None:
                return
            code = ended.code if ended.signal is None else -ended.signal
            transaction.execute("UPDATE member SET exit_code = ? WHERE attempt_id = ?", (code, source.attempt_id))
            found = verdict(ended, row, hung)
            retry.conclude(transaction, end, _killed_for_memory(transaction, source.run_id, ended, found))

        await asyncio.to_thread(prune_aside, self._folder)
        await self._database.write(write, durable=True)


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
