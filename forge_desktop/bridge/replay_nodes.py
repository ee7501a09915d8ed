"""The Nodes page's part of a replay: nodes in memory that can be added, drained, examined and lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.contract.node_check import problems_of
from engine.contract.nodes import (
    LOCAL,
    Candidate,
    CostRow,
    Costs,
    DoctorReport,
    ImageInfo,
    NodeHistory,
    NodeProfile,
    NodeProfiles,
    Nodes,
    NodeState,
    NodeView,
    PlacementAnswer,
    Transfer,
)
from engine.contract.run_spec import RunSpec
from engine.contract.stream import DoctorChecked, NodeChanged, NodeReading, NodeRemoved, StreamMessage, TransferChanged
from forge_desktop.bridge import fake_nodes

IMAGE_BYTES = 1_640_000_000
DAY = 86400.0


class ReplayNodes:
    """Keeps what it is told; a test changes the public fields."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet: dict[str, NodeView] = {LOCAL: fake_nodes.local_node(time.time())}
        """The nodes, by name."""
        self.answer_placement: PlacementAnswer | None = None
        """What placements answer; None: the first node that is free."""
        self.spent: list[CostRow] | None = None
        """What `costs` answers; None: something that looks like work."""
        self.budget: float | None = None
        self.nodes_error: UserError | None = None
        """What `nodes` fails with."""
        self.pushed: list[tuple[str, str]] = []

    def _answer(self) -> None:
        raise NotImplementedError

    def _tell(self, message: StreamMessage) -> None:
        raise NotImplementedError

    def use_fleet(self, at: float | None = None) -> None:
        """Have the six pretended nodes."""
        self.fleet = {node.profile.name: node for node in fake_nodes.fleet(time.time() if at is None else at)}
        for node in self.fleet.values():
            self._tell(NodeChanged(node=node))

    def change_node(self, name: str, **values: object) -> NodeView:
        """Let something happen to a node."""
        self.fleet[name] = self._node(name).model_copy(update=values)
        self._tell(NodeChanged(node=self.fleet[name]))
        return self.fleet[name]

    def read_node(self, name: str, **values: float) -> None:
        """Let a reading come; `gpu0_temperature` stands for `gpu0.temperature`."""
        found = {key.replace("_", ".", 1): value for key, value in values.items()}
        self._tell(NodeReading(node=name, at=time.time(), values={**self._node(name).values, **found}))

    def _node(self, name: str) -> NodeView:
        if name not in self.fleet:
            raise NotFound("nodes.unknown", node=name)
        return self.fleet[name]

    def nodes(self) -> Nodes:
        """As the controller does."""
        self._answer()
        if self.nodes_error is not None:
            raise self.nodes_error
        return Nodes(nodes=list(self.fleet.values()), image="loraforge-worker:0.1.0")

    def add_node(self, profile: NodeProfile) -> NodeView:
        """As the controller does; the node answers at once."""
        self._answer()
        self._refuse(profile)
        if profile.name in self.fleet:
            raise Conflict("nodes.exists", node=profile.name)
        return self._keep(NodeView(profile=profile, reach="reachable", last_seen=time.time()))

    def edit_node(self, name: str, profile: NodeProfile) -> NodeView:
        """As the controller does."""
        self._answer()
        self._refuse(profile)
        return self._keep(self._node(name).model_copy(update={"profile": profile}))

    def _refuse(self, profile: NodeProfile) -> None:
        problems = problems_of(profile.model_dump(), look=False)
        if problems:
            raise Refused("nodes.refused", problems=problems, count=len(problems))

    def _keep(self, node: NodeView) -> NodeView:
        self.fleet[node.profile.name] = node
        self._tell(NodeChanged(node=node))
        return node

    def remove_node(self, name: str) -> None:
        """As the controller does."""
        self._answer()
        node = self._node(name)
        if name == LOCAL:
            raise Conflict("nodes.local_stays", node=name)
        if node.runs:
            raise Conflict("nodes.has_runs", node=name, count=len(node.runs))
        del self.fleet[name]
        self._tell(NodeRemoved(name=name))

    def set_node_state(self, name: str, state: NodeState) -> NodeView:
        """As the controller does, at once."""
        self._answer()
        reach = "unused" if state == "offline" else "checking" if self._node(name).reach == "unused" else None
        more = {"reach": reach} if reach else {}
        return self.change_node(name, state=state, **more)

    def test_node(self, profile: NodeProfile) -> DoctorReport:
        """Check after check; a host key that nobody knows is refused."""
        self._answer()
        return self._examine(profile, None)

    def examine_node(self, name: str) -> DoctorReport:
        """Check after check."""
        self._answer()
        node = self._node(name)
        return self._examine(node.profile, node)

    def _examine(self, profile: NodeProfile, node: NodeView | None) -> DoctorReport:
        found = fake_nodes.checks(profile, node)
        for check in found:
            self._tell(DoctorChecked(node=profile.name, check=check.model_copy(update={"state": "running"})))
            self._tell(DoctorChecked(node=profile.name, check=check))
        return DoctorReport(node=profile.name, at=time.time(), done=True, checks=found)

    def node_history(self, name: str, since: float, until: float, values: Sequence[str] = ()) -> NodeHistory:
        """Waves around the last reading."""
        self._answer()
        return fake_nodes.history(self._node(name), since, until, values)

    def node_profiles(self) -> NodeProfiles:
        """As the controller does."""
        self._answer()
        return NodeProfiles(nodes=[node.profile for name, node in self.fleet.items() if name != LOCAL])

    def import_nodes(self, profiles: NodeProfiles) -> Nodes:
        """All or none."""
        self._answer()
        problems = [problem for one in profiles.nodes for problem in problems_of(one.model_dump(), look=False)]
        if problems:
            raise Refused("nodes.import_refused", problems=problems, count=len(problems))
        for profile in profiles.nodes:
            before = self.fleet.get(profile.name) or NodeView(profile=profile)
            self._keep(before.model_copy(update={"profile": profile}))
        return self.nodes()

    def placement(self, uid: str) -> PlacementAnswer:
        """Where it would go now."""
        self._answer()
        return self._place("auto")

    def plan_placement(self, spec: RunSpec) -> PlacementAnswer:
        """Where an order would go now."""
        self._answer()
        return self._place(spec.compute.node)

    def _place(self, asked: str) -> PlacementAnswer:
        if self.answer_placement is not None:
            return self.answer_placement
        found = [_candidate(node) for node in self.fleet.values()]
        found.sort(key=lambda one: -one.score)
        free = [one for one in found if one.fits and asked in ("auto", one.node)]
        if not free:
            return PlacementAnswer(code="placement.nowhere", params={"nodes": len(found)}, candidates=found)
        code = "placement.asked_for" if asked != "auto" else "placement.cooler" if len(free) > 1 else (
            "placement.only_one"
        )  # fmt: skip
        return PlacementAnswer(node=free[0].node, code=code, params={"node": free[0].node}, candidates=found)

    def node_images(self, name: str) -> list[ImageInfo]:
        """One."""
        self._answer()
        self._node(name)
        return [ImageInfo(id="sha256:9f2c", tags=["loraforge-worker:0.1.0"], version="0.1.0", bytes=IMAGE_BYTES)]

    def push_image(self, name: str, image: str = "") -> None:
        """As the controller does; it is there at once."""
        self._answer()
        self._node(name)
        self.pushed.append((name, image))
        what = image or "loraforge-worker:0.1.0"
        for done in (0, IMAGE_BYTES // 2):
            self._tell(TransferChanged(transfer=Transfer(node=name, what=what, done=done, total=IMAGE_BYTES)))
        whole = Transfer(node=name, what=what, done=IMAGE_BYTES, total=IMAGE_BYTES, state="done")
        self._tell(TransferChanged(transfer=whole))

    def costs(self, since: float, until: float, by: Literal["day", "node", "owner"]) -> Costs:
        """What was put there."""
        self._answer()
        lone = len(self.fleet) == 1 and self.spent is None
        made = [] if lone else fake_nodes.cost_rows(by, max(1, round((until - since) / DAY)), until)
        rows = made if self.spent is None else self.spent
        total = sum(row.cost for row in rows)
        return Costs(
            since=since, until=until, by=by, rows=rows, totals={"USD": total} if rows else {}, budget=self.budget,
            budget_used=None if self.budget is None else total,
        )  # fmt: skip


def _candidate(node: NodeView) -> Candidate:
    name, gpus = node.profile.name, len(node.facts.gpus)
    warm = max((v for key, v in node.values.items() if key.endswith(".temperature")), default=None)
    code, params = "placement.fits", {"node": name}
    if node.state == "draining":
        code = "placement.draining"
    elif node.state == "offline":
        code = "placement.offline"
    elif node.reach == "unreachable":
        code = "placement.unreachable"
    elif warm is not None and warm > 85:
        code, params = "placement.hot", {"node": name, "temperature": f"{warm:.0f}", "limit": "85"}
    elif len(node.runs) >= node.slots:
        code, params = "placement.slots", {"node": name, "slots": str(node.slots)}
    fits = code == "placement.fits"
    free = max(0, gpus - len(node.runs))
    return Candidate(
        node=name, fits=fits, code=code, params=params, score=(10.0 * free + gpus) if fits else 0.0, free_gpus=free,
        gpus=gpus, temperature=warm, price=node.profile.price, currency=node.profile.currency,
    )  # fmt: skip
