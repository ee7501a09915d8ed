"""What takes a while at a node: examining it, trying one that is not used yet, bringing it the worker image."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from engine.contract.errors import Conflict, UserError
from engine.contract.events import DoctorChecked, TransferChanged
from engine.contract.nodes import CheckName, DoctorCheck, DoctorReport, Transfer
from engine.control.jobs import node_changes
from engine.control.jobs.node_desk import NodeDesk
from engine.control.jobs.pool import Examine, Node
from engine.control.store import nodes
from engine.control.store.database import Transaction

QUICK: tuple[CheckName, ...] = ("reach", "authentication", "version")
"""What is looked at of a node that is not used yet."""


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

    async def bring_image(self, name: str, image: str) -> Transfer:
        """Copy a worker image of this computer's engine to a node, telling how it gets on."""
        node = self.pool.node(name)
        bring = node.place.bring_image if node.place is not None else None
        if bring is None:
            raise UserError("nodes.no_containers", node=name)
        if name in self._bringing:
            raise Conflict("nodes.image_on_its_way", node=name)
        wanted = image or node.profile.image or self.settings.worker_image
        self._bringing.add(name)
        last = Transfer(node=name, what=wanted)
        loop = asyncio.get_running_loop()

        def tell(transfer: Transfer) -> None:
            nonlocal last
            last = transfer
            loop.call_soon_threadsafe(self.hub.publish, [TransferChanged(transfer=transfer)])

        try:
            await node.call(bring, wanted, tell)
            last = last.model_copy(update={"state": "done", "done": last.total})
        except UserError as error:
            last = last.model_copy(update={"state": "failed", "error": error.body()})
        finally:
            self._bringing.discard(name)
        self.hub.publish([TransferChanged(transfer=last)])
        return last

    async def _examine(self, node: Node, examine: Examine) -> DoctorReport:
        loop, name = asyncio.get_running_loop(), node.name

        def tell(check: DoctorCheck) -> None:
            loop.call_soon_threadsafe(self.hub.publish, [DoctorChecked(node=name, check=check)])

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
