"""Asking the controller about nodes, where runs go, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from engine.client.calls import Calls
from engine.contract.api import RunSummary
from engine.contract.ids import new_id
from engine.contract.nodes import (
    Costs,
    DoctorReport,
    MoveRun,
    NodeProfile,
    NodeProfiles,
    Nodes,
    NodeState,
    NodeView,
    PlacementAnswer,
    SetNodeState,
)
from engine.contract.run_spec import RunSpec

DOCTOR_S = 300.0
"""A doctor measures bandwidth, and starts containers."""


class _Values(BaseModel):
    """Values of a profile as they are: the controller says everything that is wrong with them."""

    model_config = ConfigDict(extra="allow")


class NodeCalls(Calls):
    """A part of `ControllerClient`."""

    def nodes(self) -> Nodes:
        """All nodes, and moves between them."""
        return self._get("/nodes", Nodes)

    def node(self, name: str) -> NodeView:
        """One node."""
        return self._get(_at(name), NodeView)

    def add_node(self, profile: NodeProfile | Mapping[str, Any]) -> NodeView:
        """Use one more node."""
        return self._read(self._send("POST", "/nodes", body=_values(profile), key=new_id()), NodeView)

    def edit_node(self, name: str, profile: NodeProfile | Mapping[str, Any]) -> NodeView:
        """Give a node another profile; runs at work there go on."""
        return self._read(self._send("PUT", _at(name), body=_values(profile), key=new_id()), NodeView)

    def remove_node(self, name: str) -> None:
        """Use a node no more."""
        self._send("DELETE", _at(name), key=new_id())

    def set_node_state(self, name: str, state: NodeState) -> NodeView:
        """Drain a node, take it offline, or back online."""
        answer = self._send("POST", f"{_at(name)}/state", body=SetNodeState(state=state), key=new_id())
        return self._read(answer, NodeView)

    def test_node(self, profile: NodeProfile | Mapping[str, Any]) -> DoctorReport:
        """Whether a node could be reached like this; nothing is kept."""
        return self._read(self._send("POST", "/nodes/test", body=_values(profile), timeout=DOCTOR_S), DoctorReport)

    def doctor(self, name: str) -> DoctorReport:
        """Have a node examined; the steps come over the stream meanwhile."""
        return self._read(self._send("POST", f"{_at(name)}/doctor", timeout=DOCTOR_S), DoctorReport)

    def last_report(self, name: str) -> DoctorReport:
        """What its doctor last found."""
        return self._get(f"{_at(name)}/doctor", DoctorReport)

    def export_nodes(self) -> NodeProfiles:
        """Profiles of all nodes but the controller's computer; without secrets."""
        return self._get("/nodes/export", NodeProfiles)

    def import_nodes(self, profiles: NodeProfiles | Mapping[str, Any]) -> Nodes:
        """Add or change many; all or none."""
        return self._read(self._send("POST", "/nodes/import", body=_values(profiles), key=new_id()), Nodes)

    def start_elsewhere(self, uid: str, node: str = "") -> RunSummary:
        """Let a run whose node does not answer go on elsewhere; without a name the scheduler's choice."""
        return self._change("POST", f"/runs/{uid}/elsewhere", MoveRun(node=node))

    def placement(self, uid: str) -> PlacementAnswer:
        """Why a run is where it is, would go where it would go, or waits."""
        return self._get(f"/runs/{uid}/placement", PlacementAnswer)

    def place(self, spec: RunSpec) -> PlacementAnswer:
        """Where an order would go now."""
        return self._read(self._send("POST", "/placement", body=spec), PlacementAnswer)

    def costs(
        self, since: float | None = None, until: float | None = None, by: Literal["day", "node", "owner"] = "day"
    ) -> Costs:
        """What was spent between two moments; in the last 30 days unless they are named."""
        query = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
        return self._get("/costs", Costs, {**query, "by": by})


def _at(name: str) -> str:
    return f"/nodes/{quote(name, safe='')}"


def _values(content: BaseModel | Mapping[str, Any]) -> _Values:
    return _Values(**(content.model_dump(mode="json") if isinstance(content, BaseModel) else content))
