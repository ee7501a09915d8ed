"""What the API may ask about nodes, and about where runs go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.contract.api import RunSummary
from engine.contract.clock import now
from engine.contract.errors import Problem, UserError
from engine.contract.nodes import (
    LOCAL,
    CheckName,
    Costs,
    DoctorCheck,
    DoctorReport,
    NodeProfile,
    NodeProfiles,
    Nodes,
    NodeState,
    NodeView,
    PlacementAnswer,
    Transfer,
)  # fmt: skip
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.serving import ServeJob
from engine.contract.stream import NodeChanged, NodeRemoved, TransferChanged
from engine.control.executors.base import Executor
from engine.control.executors.docker.labels import default_image
from engine.control.executors.listing import Processes
from engine.control.jobs import elsewhere, node_changes, placement_check, placements
from engine.control.jobs.list_desk import ListDesk
from engine.control.jobs.need import Needs
from engine.control.jobs.news import Hub
from engine.control.jobs.places import Places
from engine.control.jobs.pool import MakePlace, Node, Place, Pool
from engine.control.jobs.queue import Terms
from engine.control.jobs.reach import Reach
from engine.control.jobs.requests import Request, once_only
from engine.control.jobs.scheduler import AUTO
from engine.control.store import costs, node_cache, nodes, runs
from engine.control.store.database import Database, Transaction
from engine.control.store.moves import latest as latest_moves

NO_PYTHON_S = 60.0


class NodeDesk(ListDesk):
    """Takes requests about nodes. The loop behind it is `controller.Controller`."""

    hub: Hub

    def __init__(self, home: Home, database: Database, local: Executor, make_place: MakePlace | None = None) -> None:
        super().__init__(home, database)
        self.needs = Needs(home)
        places = make_place or Places(home, self.secrets, lambda: self.settings, self._tell_transfer)
        self.pool = Pool(local, places, self._examine_here, Processes(home))
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._examined: dict[str, asyncio.Task[DoctorReport]] = {}
        self._swept: set[str] = set()
        """Nodes that were swept since they answer."""
        self._bringing: dict[str, asyncio.Task[None]] = {}
        self._brought: dict[str, Transfer] = {}

    @property
    def slots(self) -> dict[str, int]:
        """Lane to number of slots of all nodes that may be given runs."""
        return self.pool.slots(self.settings)

    async def nodes(self) -> Nodes:
        """All nodes as a page shows them."""
        at = now()
        live, alerts, moves = await self.database.read(
            lambda c: (nodes.live_runs(c), nodes.alerts(c), latest_moves(c, at))
        )
        views = [node.view(self.settings, live.get(node.name, []), alerts.get(node.id, 0)) for node in self.pool]
        return Nodes(nodes=views, image=self.settings.worker_image or default_image(), moves=moves)

    async def node_view(self, name: str) -> NodeView:
        """One of them."""
        node = self.pool.node(name)
        live, alerts = await self.database.read(lambda c: (nodes.live_runs(c, name), nodes.alerts(c)))
        return node.view(self.settings, live.get(name, []), alerts.get(node.id, 0))

    async def tell_node(self, node: Node) -> None:
        """Something about a node changed: tell whoever listens, and look whether a run can start now."""
        self._wake.set()
        if node.reach != "reachable":
            self._swept.discard(node.name)
        elif node.name not in self._swept:  # what had its time while it was not known to answer
            self._wake_retention.set()
        if node.name in self.pool:
            self.hub.publish([NodeChanged(node=await self.node_view(node.name))])

    def read_node(self, name: str, at: float, values: dict[str, float], names: dict[str, str]) -> None:
        """How busy a node is, by whoever reads it: the scheduler and the pages see it."""
        if name in self.pool:
            node = self.pool.node(name)
            node.values, node.names, node.read_at = values, names, at

    async def add_node(self, values: Mapping[str, Any], request: Request) -> NodeView:
        """Use one more node."""
        profile = await asyncio.to_thread(node_changes.checked, values)
        at = now()
        if await self._once(request, lambda t: node_changes.add(t, profile, at)):
            await self._take_in(profile.name)
        return await self.node_view(profile.name)

    async def edit_node(self, name: str, values: Mapping[str, Any], request: Request) -> NodeView:
        """Give a node another profile; runs at work there go on."""
        self.pool.node(name)
        profile = await asyncio.to_thread(node_changes.checked, values)
        at = now()

        def write(transaction: Transaction) -> None:
            node_changes.edit(transaction, name, profile, at)
            runs.set_prices(transaction, self.settings.prices, self.settings.currency)

        if await self._once(request, write):
            await self._changed(profile)
        return await self.node_view(name)

    async def remove_node(self, name: str, request: Request) -> None:
        """Use a node no more. Refused while a run works there, or waits for it."""
        self.pool.node(name)
        at = now()
        if await self._once(request, lambda t: node_changes.remove(t, name, at)):
            await self._let_go(name)

    async def set_node_state(self, name: str, state: NodeState, request: Request) -> NodeView:
        """Drain a node, take it offline, or back online."""
        node = self.pool.node(name)
        if await self._once(request, lambda t: nodes.set_state(t, name, state)):
            node.state = state
            if node.reach == "unused" and state != "offline":
                node.reach = "checking"
            node.well()
            node.kick.set()
            await self.tell_node(node)
        return await self.node_view(name)

    async def export_nodes(self) -> NodeProfiles:
        """Profiles of all nodes but this computer. They hold no secrets."""
        return NodeProfiles(nodes=[node.profile for node in self.pool if node.name != LOCAL])

    async def import_nodes(self, values: Mapping[str, Any], request: Request) -> Nodes:
        """Add or change many, or none if anything is wrong with one."""
        profiles = await asyncio.to_thread(node_changes.checked_import, values)
        at, known = now(), set(self.pool.names)

        def write(transaction: Transaction) -> None:
            for profile in profiles:
                if nodes.find(transaction.connection, profile.name) is None:
                    node_changes.add(transaction, profile, at)
                else:
                    node_changes.edit(transaction, profile.name, profile, at)
            runs.set_prices(transaction, self.settings.prices, self.settings.currency)

        if await self._once(request, write):
            for profile in profiles:
                await (self._changed(profile) if profile.name in known else self._take_in(profile.name))
        return await self.nodes()

    async def start_elsewhere(self, uid: str, node: str, request: Request) -> RunSummary:
        """Let a run whose node does not answer go on elsewhere, from its last checkpoint here."""
        spec = await self.database.read(lambda c: elsewhere.target_of(c, uid, node))
        await self._refuse_unless_startable(spec)
        keep = self.settings.keep_days
        summary = await self._command(request, lambda t: elsewhere.give_up(t, uid, node, request.actor, keep))
        for watch in self._watching(uid):
            watch.abandon()
        return summary

    async def placement(self, uid: str) -> PlacementAnswer:
        """Where a run would go now, and why; or why it waits."""
        terms = await self._terms()
        return await self.database.read(lambda c: placements.of_run(c, uid, terms, now()))

    async def place(self, spec: RunSpec) -> PlacementAnswer:
        """Where an order would go now. Problems that never pass are the matter of `/runs/check`."""
        await asyncio.to_thread(self.needs.learn, spec)
        terms = await self._terms()
        return await self.database.read(lambda c: placements.of_order(c, spec, terms))

    async def costs(self, since: float, until: float, by: costs.By) -> Costs:
        """What was spent between two moments."""
        settings, at = self.settings, now()
        begin = at - settings.budget_days * costs.DAY_S
        return await self.database.read(lambda c: costs.summed(c, since, until, by, at, settings, begin))

    def beside_training(self, spec: RunSpec) -> RunSpec:
        """An instance that can only work on the processor does not take the place of a run that trains."""
        if not isinstance(spec.job, ServeJob) or spec.compute.gpus is not None:
            return spec
        nodes = [one for one in self.pool if spec.compute.node in ("auto", one.name)]
        if not nodes or any(one.gpus for one in nodes):
            return spec
        return spec.model_copy(update={"compute": spec.compute.model_copy(update={"gpus": 0})})

    def placement_problems(self, spec: RunSpec) -> list[Problem]:
        """What an order asks of nodes that none can ever give."""
        known = {node.name: len(node.gpus) for node in self.pool if node.gpus or node.profile.kind == "process"}
        return placement_check.problems_of(spec.compute, [node.profile for node in self.pool], known)

    def _tell_transfer(self, transfer: Transfer) -> None:
        """From any thread but the loop's: how a copy to a node gets on."""
        self.hub.from_thread([TransferChanged(transfer=transfer)])
        name = self._name_of(Path(transfer.what))
        if transfer.state == "done" and name:
            at, node, size = now(), transfer.node, transfer.total
            self.database.write_now(lambda t: node_cache.stored(t, node, name, size, at))

    def _name_of(self, path: Path) -> str:
        """What orders call a file or folder that was copied; empty for what is no input, an image say."""
        if not path.is_absolute():
            return ""
        if path.is_relative_to(self.home.models):
            return path.parent.name.replace("--", "/")  # <home>/models/<hub>/<org>--<name>/<commit>
        if path.is_relative_to(self.home.datasets):
            return path.name  # the fingerprint of a version
        return str(path)

    def _examine_here(self, tell: Callable[[DoctorCheck], None], only: Sequence[CheckName]) -> DoctorReport:
        """This computer, by its doctor. Waits: call it on a thread."""
        from engine.control.nodes.doctor import process_doctor
        from engine.control.nodes.process_doctor import Here

        return process_doctor(LOCAL, Here(LOCAL, self.home.root, self.worker_python or "")).examine(tell, only)

    def needs_python(self, spec: RunSpec) -> bool:
        """Whether a run could only work as a process of this computer."""
        asked = spec.compute
        if asked.node != AUTO:
            return asked.node == LOCAL
        return asked.executor == "process" or not any(node.docker for node in self.pool)

    async def learn_need(self, spec: RunSpec) -> None:
        """Look at what its model needs, before a node is chosen for it."""
        await asyncio.to_thread(self.needs.learn, spec)

    async def _terms(self) -> Terms:
        """What counts now for who goes where."""
        python = await asyncio.to_thread(lambda: self.worker_python)
        offers = self.pool.offers(self.settings)
        if python is None and len(offers) > 1:
            fault = UserError("worker.no_environment").what
            offers = [replace(one, held=NO_PYTHON_S, fault=fault) if not one.docker else one for one in offers]
        settings = self.settings
        return Terms(offers, settings.prices, settings.currency, settings.owner_limit, self.needs.of)

    async def _once(self, request: Request, work: Callable[[Transaction], Any]) -> bool:
        return await self.database.write(lambda t: once_only(t, request, work), durable=True)

    async def _take_in(self, name: str) -> None:
        """A node that was written down comes into use."""
        row = await self.database.read(lambda c: nodes.find(c, name))
        if row is not None and name not in self.pool:
            node = self.pool.add(row)
            self._ask_again_and_again(node)
            await self.tell_node(node)
            self._go(self.greet(name))

    async def greet(self, name: str) -> None:
        """A node is new: what it has, and whether it can be used, is found out at once."""
        raise NotImplementedError

    async def _changed(self, profile: NodeProfile) -> None:
        node = self.pool.node(profile.name)
        old = self.pool.change(node, profile)
        node.well()
        if old is not None:
            self._go(_closed(node, old))
        await self.tell_node(node)

    async def _let_go(self, name: str) -> None:
        if name not in self.pool:
            return
        node = self.pool.remove(name)
        task = self._asking.pop(name, None)
        if task is not None:
            task.cancel()
        await asyncio.to_thread(node.close)
        self.hub.publish([NodeRemoved(name=name)])
        self._wake.set()

    def _ask_again_and_again(self, node: Node) -> None:
        if node.name != LOCAL:
            self._asking[node.name] = self._go(Reach(node, self.database, self.tell_node).run())


async def _closed(node: Node, place: Place) -> None:
    await node.call(place.close)
