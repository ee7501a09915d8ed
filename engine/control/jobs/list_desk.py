"""What the API may ask about many runs at once, and about the queue."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.errors import Conflict, Refused, UserError
from engine.contract.listing import BulkRequest, BulkResult, MoveInQueue
from engine.control.jobs import bulk, lineup
from engine.control.jobs.desk import Desk
from engine.control.jobs.requests import Request, keep, kept
from engine.control.jobs.wishes import verb_of

log = logging.getLogger(__name__)


class ListDesk(Desk):
    """Takes requests about the list of runs. The loop behind it is `controller.Controller`."""

    @property
    def slots(self) -> dict[str, int]:
        """Lane to number of slots."""
        raise NotImplementedError

    async def queue(self) -> str:
        """All runs that wait, in the order they will start: a `Queue`, written out where nobody waits for it."""
        slots = self.slots
        return await self.database.read(lambda c: lineup.listing(c, slots, now()).model_dump_json())

    async def move_in_queue(self, uid: str, body: MoveInQueue, request: Request) -> RunSummary:
        """Let a run that waits start before another, or last."""
        return await self._command(request, lambda t: lineup.move(t, uid, body.before, request.actor))

    async def bulk(self, body: BulkRequest, request: Request) -> BulkResult:
        """One deed for many runs. Deleted runs are out of sight for good; their files go by and by."""
        known = await self.database.read(lambda c: kept(c, request))
        if known is not None:
            return BulkResult.model_validate_json(known)
        if body.deed in ("tag", "untag") and not body.tags:
            raise Refused("bulk.no_tags")
        uids, refused = list(dict.fromkeys(body.uids)), dict[str, UserError]()
        going: list[str] = []
        try:
            for begin in range(0, len(uids), bulk.CHUNK):
                piece = uids[begin : begin + bulk.CHUNK]
                refused |= await self._do_each(piece, body, request)
                going += [uid for uid in piece if body.deed == "delete" and uid not in refused]
        finally:
            if going:
                self._go(self._finish_deleting_each(going))
        answer = await self.database.read(lambda c: bulk.result(c, uids, refused))
        if request.key is not None:
            content = answer.model_dump_json()
            await self.database.write(lambda t: keep(t, request, content), durable=True)
        return answer

    async def _do_each(self, uids: list[str], body: BulkRequest, request: Request) -> dict[str, UserError]:
        """Some runs in one transaction, then whatever follows of it outside the history."""
        refused = await self._not_startable(uids) if body.deed == "start" else {}
        asked = {
            uid: (bulk.request_for(body, request, uid), bulk.work_of(body, uid, request.actor))
            for uid in uids
            if uid not in refused
        }
        async with AsyncExitStack() as locks:
            if body.deed in ("delete", "start"):
                for uid in sorted(asked):  # the same order for everybody: nobody waits for each other
                    await locks.enter_async_context(self._files_of(uid))
            refused |= await self.database.write(lambda t: bulk.each(t, asked), durable=True)
        done = [uid for uid in uids if uid not in refused]
        if body.deed in ("stop", "stop_without_saving", "pause"):
            for uid in done:
                self._pass_on(uid, "pause" if body.deed == "pause" else verb_of(body.deed == "stop"))
        elif body.deed in ("pin", "unpin"):
            self._wake_retention.set()
        self._wake.set()
        return refused

    async def _not_startable(self, uids: list[str]) -> dict[str, UserError]:
        """Runs that are not there or could not run, with their files as they are now."""
        specs, refused = await self.database.read(lambda c: bulk.specs_of(c, uids))
        python = await asyncio.to_thread(lambda: self.worker_python)
        if python is None:
            lacking = [uid for uid, spec in specs.items() if self.needs_python(spec)]
            refused |= {uid: Conflict("worker.no_environment") for uid in lacking}
            specs = {uid: spec for uid, spec in specs.items() if uid not in refused}
        for spec in specs.values():
            await self.learn_need(spec)
        return refused | await asyncio.to_thread(bulk.not_runnable, specs, self.placement_problems)

    async def _finish_deleting_each(self, uids: list[str]) -> None:
        """Files and rows of runs that are out of sight; what fails is left to the next start."""
        for uid in uids:
            try:
                async with self._files_of(uid):
                    await asyncio.shield(self._finish_deleting(uid))
            except Exception:
                log.exception("run %s: deleting its files failed; it is tried again at the next start", uid)
