"""What takes a while at a node: examining it, trying one that is not used yet, bringing it the worker image."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from engine.contract.clock import now
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.images import EngineSource
from engine.contract.nodes import CheckName, DoctorCheck, DoctorReport, Transfer
from engine.contract.stream import DoctorChecked
from engine.control.jobs import node_changes
from engine.control.jobs.node_desk import NodeDesk
from engine.control.jobs.pool import BringImage, Examine, Node
from engine.control.store import attempts, node_cache, nodes
from engine.control.store.database import Transaction

log = logging.getLogger(__name__)
QUICK: tuple[CheckName, ...] = ("reach", "authentication", "version")
"""What is looked at of a node that is not used yet."""
QUICK_S = 2.0


class NodeCare(NodeDesk):
    """Takes requests that take a while. The loop behind it is `controller.Controller`."""

    async def doctor(self, name: str) -> DoctorReport:
        """Examine a node, telling step by step; who asks while that goes on waits for the same report."""
        node = self.pool.node(name)
        examine = _examiner(node)
        running = self._examined.get(name)
        if running is None:
            running = self._examined[name] = asyncio.create_task(self._examine(node, examine))
            running.add_done_callback(lambda _task: self._examined.pop(name, None))
        return await asyncio.shield(running)

    async def greet(self, name: str) -> None:
        """A node is new: its doctor looks at it at once; GPUs it can give are known by that only."""
        with contextlib.suppress(UserError):  # it was removed meanwhile, or its profile cannot be used
            await self.doctor(name)

    async def last_report(self, name: str) -> DoctorReport:
        """What the doctor last found."""
        self.pool.node(name)
        row = await self.database.read(lambda c: nodes.find(c, name))
        return row.report if row is not None and row.report is not None else DoctorReport(node=name)

    async def try_node(self, values: Mapping[str, Any], only: Sequence[CheckName] = QUICK) -> DoctorReport:
        """Whether a node that is not used yet could be reached as these values say."""
        profile = await asyncio.to_thread(node_changes.checked, values)
        place = await asyncio.to_thread(self.pool.make, profile)
        try:
            if place.examine is None:
                raise UserError("nodes.no_containers", node=profile.name)
            return await asyncio.to_thread(place.examine, lambda _check: None, only)
        finally:
            await asyncio.to_thread(place.close)

    async def bring_image(self, name: str, image: str, source: EngineSource | None = None) -> Transfer:
        """Begin to copy a worker image to a node, of this computer's engine or another; how it gets on is kept."""
        node = self.pool.node(name)
        bring = node.place.bring_image if node.place is not None else None
        if bring is None:
            raise UserError("nodes.no_containers", node=name)
        if name in self._bringing:
            raise Conflict("nodes.image_on_its_way", node=name)
        self._bringing[name] = self._go(self._bring(node, bring, image, source))
        self._brought[name] = Transfer(node=name, what=image)
        await asyncio.wait([self._bringing[name]], timeout=QUICK_S)  # it may be there already
        return self._brought[name]

    def brought_image(self, name: str) -> Transfer:
        """How the latest copy of an image to a node gets on."""
        self.pool.node(name)
        found = self._brought.get(name)
        if found is None:
            raise NotFound("nodes.no_copy", node=name)
        return found

    async def _bring(self, node: Node, bring: BringImage, image: str, source: EngineSource | None) -> None:
        name = node.name

        def tell(transfer: Transfer) -> None:
            self._brought[name] = transfer
            self._tell_transfer(transfer)

        try:
            await node.call(bring, image, tell, source)
            last = self._brought[name]
            end = last.model_copy(update={"state": "done", "done": last.total})
        except UserError as error:
            end = self._brought[name].model_copy(update={"state": "failed", "error": error.body()})
        except Exception as error:  # a border: it must not be said to go on for ever
            log.exception("copying an image to %s broke", name)
            body = UserError("nodes.broken", node=name, detail=f"{type(error).__name__}: {error}").body()
            end = self._brought[name].model_copy(update={"state": "failed", "error": body})
        finally:
            self._bringing.pop(name, None)
        tell(end)

    async def sweep_remains(self) -> None:
        """Containers and volumes whose time has come go, on every node that answers."""
        days, at = await self.database.read(lambda c: nodes.kept_days(c, self.settings.keep_days)), now()
        await self.database.write(lambda t: node_cache.forget_old(t, at))
        for node in self.pool:
            place = node.place
            if place is None or place.sweep is None or node.reach != "reachable":
                continue
            with contextlib.suppress(UserError):  # it fell silent: there is a next time
                gone = await node.call(place.sweep, days, self._may_go, self._is_over)
                self._swept.add(node.name)
                await self._note_gone(node.name, gone)

    async def drop_remains(self, uid: str, names: Sequence[str] | None = None) -> None:
        """What one run has left on nodes goes now; where one does not answer it goes when its time has come."""
        if names is None:
            names = await self.database.read(lambda c: nodes.with_remains(c, uid))
        for name in names:
            place = self.pool.node(name).place if name in self.pool else None
            if place is not None and place.remove is not None:
                with contextlib.suppress(UserError):
                    if await self.pool.node(name).call(place.remove, uid):
                        await self._note_gone(name, [uid])

    async def _note_gone(self, name: str, uids: list[str]) -> None:
        if uids:
            await self.database.write(lambda t: nodes.remains_gone(t, name, uids))

    def _may_go(self, uid: str) -> bool:
        """Of a run that is not at work, or that is not known any more. Waits: for nodes' threads."""
        return not self.database.read_now(lambda c: nodes.at_work(c, uid))

    def _is_over(self, uid: str, attempt: int) -> bool:
        """Whether the history closed this attempt. Waits: for nodes' threads."""
        return self.database.read_now(lambda c: attempts.is_over(c, uid, attempt))

    async def _examine(self, node: Node, examine: Examine) -> DoctorReport:
        name = node.name

        def tell(check: DoctorCheck) -> None:
            self.hub.from_thread([DoctorChecked(node=name, check=check)])

        report = await node.call(examine, tell, ())
        learnt = report.facts

        def write(transaction: Transaction) -> None:
            nodes.set_report(transaction, name, report)
            nodes.set_facts(transaction, name, learnt)

        if report.done and name in self.pool:
            node.facts = learnt  # first: who asks it meanwhile writes down what stands here
            node.well()
            await self.database.write(write)
            node.kick.set()
            await self.tell_node(node)
        return report


def _examiner(node: Node) -> Examine:
    if node.place is None:
        raise node.broken()
    if node.place.examine is None:
        raise UserError("nodes.no_containers", node=node.name)
    return node.place.examine
