"""What pages ask of a controller about moves of runs, and about every container and process it manages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.contract.nodes import DeedResult, Instances, InstanceVerb, MoveView


class MovesBackend(Protocol):
    """The part of a backend behind moves and the Instances page. Calls block and raise UserError."""

    def move_run(self, uid: str, node: str = "") -> MoveView:
        """Move a live run; without a node the scheduler's choice. Its steps come as `move_changed`."""

    def cancel_move(self, uid: str) -> MoveView:
        """Give a move up, by its id; the source goes on."""

    def instances(self) -> Instances:
        """Every container and process that is managed, on every node."""

    def instance_deed(self, ids: Sequence[str], verb: InstanceVerb, force: bool = False) -> DeedResult:
        """Stop, kill, remove or adopt some; `force`: adopt also what a controller of another computer made."""
