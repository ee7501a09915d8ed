"""The real controller's answers about moves and instances."""

from __future__ import annotations

from collections.abc import Sequence

from engine.client.client import ControllerClient
from engine.contract.nodes import DeedResult, Instances, InstanceVerb, MoveView


class ControllerFleet:
    """Passes on what pages ask about moves and instances."""

    _client: ControllerClient

    def move_run(self, uid: str, node: str = "") -> MoveView:
        """Move a live run; without a node the scheduler's choice."""
        return self._client.move_run(uid, node)

    def cancel_move(self, uid: str) -> MoveView:
        """Give a move up, by its id."""
        return self._client.cancel_move(uid)

    def instances(self) -> Instances:
        """Every container and process that is managed, on every node."""
        return self._client.instances()

    def instance_deed(self, ids: Sequence[str], verb: InstanceVerb, force: bool = False) -> DeedResult:
        """Stop, kill, remove or adopt some; `force`: adopt also what a controller of another computer made."""
        return self._client.instance_deed(ids, verb, force)
