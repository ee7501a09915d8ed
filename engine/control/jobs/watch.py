"""Follows one attempt from the start of its worker to the end: journal in, wishes out, end decided."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from engine.contract import logfile
from engine.contract.clock import now
from engine.contract.commands import WorkerCommand
from engine.contract.durable import write_durably
from engine.contract.events import LogGrew
from engine.contract.paths import AttemptFolder
from engine.control.executors.base import Executor, Exit
from engine.control.jobs import transitions
from engine.control.jobs.ending import verdict
from engine.control.jobs.ingest import Ingest, Source
from engine.control.jobs.news import Hub
from engine.control.store import attempts, events
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
ACTOR = "controller"
POLL_S = 0.1
NO_SAVE_GRACE_S = 5.0
FAREWELL_S = 30.0
"""How long a worker may live on after its last word."""
RETRY_S = 1.0


@dataclass
class Wish:
    """A person asked for the end."""

    save: bool
    sent: bool = False
    killed: bool = False
    since: float = field(default_factory=time.monotonic)


class Watch:
    """One live attempt."""

    def __init__(
        self, database: Database, hub: Hub, executor: Executor, folder: AttemptFolder, source: Source, handle: str
    ) -> None:
        self.source = source
        self.stop_grace_s = 60.0
        self._database = database
        self._hub = hub
        self._executor = executor
        self._folder = folder
        self._handle = handle
        self._ingest = Ingest(database, source)
        self._wish: Wish | None = None
        self._log_size = -1
        self._looked_back = False
        self._farewell: float | None = None

    def ask_to_stop(self, save: bool) -> None:
        """Pass on a person's wish; a later one without saving overrides an earlier one with."""
        if self._wish is None or (self._wish.save and not save):
            self._wish = Wish(save)

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
        while await asyncio.to_thread(self._ingest.pull):
            pass
        await self._tell_log_size()
        if ended is not None:
            await self._end(ended)
            return True
        await self._obey()
        await self._see_off()
        return False

    async def _look_back(self) -> None:
        """A wish that was written down before this watch began."""
        row = await self._database.read(lambda c: attempts.get(c, self.source.attempt_id))
        if row is not None and row["stop_asked"]:
            self.ask_to_stop(bool(row["stop_save"]))
        self._ingest.said_goodbye = row is not None and row["last_word"] is not None
        self._looked_back = True

    async def _tell_log_size(self) -> None:
        size = await asyncio.to_thread(logfile.size, self._folder.log)
        if size != self._log_size:
            self._log_size = size
            self._hub.publish([LogGrew(run=self.source.uid, attempt=self.source.n, size=size)])

    async def _obey(self) -> None:
        """Hand a wish to the worker, and end a worker that does not heed it in time."""
        wish = self._wish
        if wish is None or wish.killed:
            return
        if not wish.sent:
            await asyncio.to_thread(self._send, wish.save)
            wish.sent, wish.since = True, time.monotonic()
        grace = self.stop_grace_s if wish.save else min(NO_SAVE_GRACE_S, self.stop_grace_s)
        if time.monotonic() - wish.since > grace:
            wish.killed = True
            await asyncio.to_thread(self._executor.kill, self._folder, self._handle)
            await self._database.write(lambda t: self._note(t, "run.killed", seconds=round(grace)))

    async def _see_off(self) -> None:
        """End a worker that has said its last word and does not go."""
        if self._ingest.said_goodbye and self._farewell is None:
            self._farewell = time.monotonic()
        if self._farewell is not None and time.monotonic() - self._farewell > FAREWELL_S:
            await asyncio.to_thread(self._executor.kill, self._folder, self._handle)

    def _send(self, save: bool) -> None:
        verb = "stop" if save else "stop_without_saving"
        command = WorkerCommand.model_validate({"id": verb, "verb": verb})
        write_durably(self._folder.control / f"{command.id}.json", command.model_dump_json().encode())
        if save:
            self._executor.stop(self._folder, self._handle)

    def _note(self, transaction: Transaction, code: str, **params: object) -> None:
        body = {"level": "warning", "code": code, "params": params}
        events.add(
            transaction, "note", body, at=now(), run_id=self.source.run_id, attempt_id=self.source.attempt_id,
            level=events.WARNING, actor=ACTOR,
        )  # fmt: skip

    async def _end(self, ended: Exit) -> None:
        source = self.source

        def write(transaction: Transaction) -> None:
            row = attempts.get(transaction.connection, source.attempt_id)
            if row is None:
                return
            code = ended.code if ended.signal is None else -ended.signal
            transaction.execute("UPDATE member SET exit_code = ? WHERE attempt_id = ?", (code, source.attempt_id))
            end = verdict(ended, row)
            transitions.complete(
                transaction, source.run_id, end.state, actor=ACTOR, at=now(), lease=source.lease,
                reason=end.reason, error=end.error,
            )  # fmt: skip

        await self._database.write(write, durable=True)
