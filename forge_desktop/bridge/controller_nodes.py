"""The Nodes page's part of the real controller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from engine.client.client import ControllerClient
from engine.contract.nodes import (
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
)
from engine.contract.run_spec import RunSpec


class ControllerNodes:
    """Passes the questions of the Nodes page on."""

    _client: ControllerClient

    def nodes(self) -> Nodes:
        """All nodes, and moves under way."""
        return self._client.nodes()

    def add_node(self, profile: NodeProfile) -> NodeView:
        """Use a node from now on."""
        return self._client.add_node(profile)

    def edit_node(self, name: str, profile: NodeProfile) -> NodeView:
        """Give it another profile."""
        return self._client.edit_node(name, profile)

    def remove_node(self, name: str) -> None:
        """Use it no longer."""
        self._client.remove_node(name)

    def set_node_state(self, name: str, state: NodeState) -> NodeView:
        """Drain it, take it offline, or back online."""
        return self._client.set_node_state(name, state)

    def test_node(self, profile: NodeProfile) -> DoctorReport:
        """Whether it could be reached like this."""
        return self._client.test_node(profile)

    def examine_node(self, name: str) -> DoctorReport:
        """Have the doctor look at it."""
        return self._client.doctor(name)

    def node_history(self, name: str, since: float, until: float, values: Sequence[str] = ()) -> NodeHistory:
        """Its readings between two moments."""
        return self._client.node_history(name, since, until, values)

    def node_profiles(self) -> NodeProfiles:
        """All profiles, without secrets."""
        return self._client.export_nodes()

    def import_nodes(self, profiles: NodeProfiles) -> Nodes:
        """Add or change many; all or none."""
        return self._client.import_nodes(profiles)

    def placement(self, uid: str) -> PlacementAnswer:
        """Where a run would go, or why it waits."""
        return self._client.placement(uid)

    def plan_placement(self, spec: RunSpec) -> PlacementAnswer:
        """Where an order would go now."""
        return self._client.place(spec)

    def node_images(self, name: str) -> list[ImageInfo]:
        """The worker image its doctor last found there."""
        checks = self._client.last_report(name).checks
        found = next((check.facts for check in checks if check.name == "image" and check.facts.get("id")), None)
        if found is None:
            return []
        protocol = str(found.get("protocol", ""))
        return [
            ImageInfo(
                id=str(found["id"]), tags=[str(found.get("image", ""))], version=str(found.get("version", "")),
                commit=str(found.get("commit", "")), protocol=int(protocol) if protocol.isdigit() else None,
                bytes=int(found.get("bytes", 0)),
            )
        ]  # fmt: skip

    def push_image(self, name: str, image: str = "") -> None:
        """Bring the worker image there; how it gets on comes over the stream."""
        self._client.push_image(name, image)

    def costs(self, since: float, until: float, by: Literal["day", "node", "owner"]) -> Costs:
        """What was spent."""
        return self._client.costs(since, until, by)
