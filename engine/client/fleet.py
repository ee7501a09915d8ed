"""Asking the controller about moves of runs, and about every container and process it manages."""

from __future__ import annotations

from collections.abc import Sequence

from engine.client.calls import SLOW_S, Calls
from engine.contract.ids import new_id
from engine.contract.nodes import DeedResult, InstanceDeed, Instances, InstanceVerb, MoveRun, MoveView

DEED_S = 300.0
"""Adopting reads a journal, removing may take an engine long."""


class FleetCalls(Calls):
    """A part of `ControllerClient`."""

    def move_run(self, uid: str, node: str = "") -> MoveView:
        """Begin to move a live run; without a node to the scheduler's choice."""
        return self._read(self._send("POST", f"/runs/{uid}/move", body=MoveRun(node=node), key=new_id()), MoveView)

    def cancel_move(self, uid: str) -> MoveView:
        """Give a move up; the source goes on."""
        return self._read(self._send("POST", f"/moves/{uid}/cancel", key=new_id()), MoveView)

    def moves(self) -> list[MoveView]:
        """Those under way, and those that ended in the last hour."""
        return [MoveView.model_validate(one) for one in self._send("GET", "/moves").json()]

    def instances(self) -> Instances:
        """Every container and process, and the nodes that could not be asked."""
        return self._read(self._send("GET", "/instances", timeout=SLOW_S), Instances)

    def instance_deed(self, ids: Sequence[str], verb: InstanceVerb, force: bool = False) -> DeedResult:
        """Stop, kill, remove or adopt some; `force`: adopt also what a controller of another computer made."""
        body = InstanceDeed(ids=list(ids), verb=verb, force=force)
        return self._read(self._send("POST", "/instances/bulk", body=body, timeout=DEED_S), DeedResult)
