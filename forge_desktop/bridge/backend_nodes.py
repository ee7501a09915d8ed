"""What pages ask of a controller about nodes: profiles, doctor, readings, placement, images, costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

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


class NodesBackend(Protocol):
    """The part of a backend behind the Nodes page. Calls block and raise UserError."""

    def nodes(self) -> Nodes:
        """All nodes as they are now, and moves under way."""

    def add_node(self, profile: NodeProfile) -> NodeView:
        """Use a node from now on."""

    def edit_node(self, name: str, profile: NodeProfile) -> NodeView:
        """Change how a node is reached or used; its runs go on."""

    def remove_node(self, name: str) -> None:
        """Use it no longer."""

    def set_node_state(self, name: str, state: NodeState) -> NodeView:
        """Drain it, take it offline, or back online."""

    def test_node(self, profile: NodeProfile) -> DoctorReport:
        """See whether a node answers before it is added; checks come as `doctor_checked` too."""

    def examine_node(self, name: str) -> DoctorReport:
        """Have the doctor look at it; checks come as `doctor_checked` while he does."""

    def node_history(self, name: str, since: float, until: float, values: Sequence[str] = ()) -> NodeHistory:
        """Its readings between two moments."""

    def node_profiles(self) -> NodeProfiles:
        """All profiles, to be kept in a file; they hold no secrets."""

    def import_nodes(self, profiles: NodeProfiles) -> Nodes:
        """Add all of them, or none if anything is wrong."""

    def placement(self, uid: str) -> PlacementAnswer:
        """Where a run would go, or why it waits."""

    def plan_placement(self, spec: RunSpec) -> PlacementAnswer:
        """The same for a run that is not made yet."""

    def node_images(self, name: str) -> list[ImageInfo]:
        """Worker images on a node."""

    def push_image(self, name: str, image: str = "") -> None:
        """Bring the worker image to a node; how it gets on comes as `transfer_changed`."""

    def costs(self, since: float, until: float, by: Literal["day", "node", "owner"]) -> Costs:
        """What was spent."""
