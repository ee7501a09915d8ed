"""The part of a replay about moves and instances: both in memory, going on when somebody says so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from engine.contract.api import RunDetail
from engine.contract.errors import Conflict, ErrorBody, NotFound, UserError
from engine.contract.ids import new_id
from engine.contract.nodes import DeedResult, Instance, Instances, InstanceVerb, MoveStep, MoveView, Nodes
from engine.contract.states import LIVE
from engine.contract.stream import MoveChanged
from forge_desktop.bridge import fake_instances
from forge_desktop.bridge.replay_nodes import ReplayNodes

AT_WORK = ("created", "running", "paused")


class ReplayFleet(ReplayNodes):
    """A move waits until `step_move`, `finish_move` or `fail_move` is called; deeds are done at once."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: dict[str, MoveView] = {}
        """By id."""
        self.managed: dict[str, Instance] = {}
        """Instances by id."""
        self.refusals: dict[str, UserError] = {}
        """What a deed to an instance fails with, by its id."""
        self.deeds: list[tuple[str, tuple[str, ...]]] = []
        """Every deed that was asked for."""
        self.instances_error: UserError | None = None
        """What `instances` fails with."""

    def run(self, uid: str) -> RunDetail:
        """Given by the backend."""
        raise NotImplementedError

    def move(self, uid: str, **values: Any) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def nodes(self) -> Nodes:
        """As the controller does, with the moves."""
        return super().nodes().model_copy(update={"moves": list(self.under_way.values())})

    def move_run(self, uid: str, node: str = "") -> MoveView:
        """Begin; it waits at its first step."""
        self._answer()
        run = self.run(uid).run
        if run.state not in LIVE:
            raise Conflict("run.wrong_state", run=run.name, verb="moved", state=run.state, hint="")
        if any(move.run == uid and move.state == "running" for move in self.under_way.values()):
            raise Conflict("run.wrong_state", run=run.name, verb="moved", state=run.state, hint="It moves already.")
        target = node or self._place("auto").node or run.node
        self._node(target)
        return self._tell_move(
            MoveView(uid=new_id(), run=uid, name=run.name, source=run.node, target=target, began=time.time())
        )

    def step_move(self, uid: str, step: MoveStep, **values: Any) -> MoveView:
        """Let a move get on."""
        return self._tell_move(self.under_way[uid].model_copy(update={"step": step, **values}))

    def finish_move(self, uid: str, downtime: float = 0.9) -> MoveView:
        """Let a move be done: the run is on its target."""
        move = self.under_way[uid]
        self.move(move.run, node=move.target)
        return self.step_move(uid, "done", state="done", ended=time.time(), downtime=downtime)

    def fail_move(self, uid: str, error: ErrorBody) -> MoveView:
        """Let a move fail: its source goes on."""
        move = self.under_way[uid].model_copy(update={"state": "failed", "error": error, "ended": time.time()})
        return self._tell_move(move)

    def cancel_move(self, uid: str) -> MoveView:
        """As the controller does, at once."""
        self._answer()
        move = self.under_way.get(uid)
        if move is None:
            raise NotFound("request.invalid", detail=uid)
        if move.state != "running":
            return move
        return self._tell_move(move.model_copy(update={"state": "cancelled", "ended": time.time()}))

    def _tell_move(self, move: MoveView) -> MoveView:
        self.under_way[move.uid] = move
        self._tell(MoveChanged(move=move))
        return move

    def use_instances(self, at: float | None = None) -> None:
        """Have those of the pretended nodes."""
        found = fake_instances.instances(time.time() if at is None else at)
        self.managed = {one.id: one for one in found}

    def change_instance(self, name: str, **values: Any) -> None:
        """Let something happen to one."""
        self.managed[name] = self.managed[name].model_copy(update=values)

    def instances(self) -> Instances:
        """As the controller does."""
        self._answer()
        if self.instances_error is not None:
            raise self.instances_error
        lost = {name: node for name, node in self.fleet.items() if node.reach == "unreachable"}
        unknown = UserError("node.no_answer", node="", address="", detail="", seconds=5).body()
        return Instances(
            instances=[_seen(one, one.node in lost) for one in self.managed.values()],
            unreachable={name: node.error or unknown for name, node in lost.items()},
        )

    def instance_deed(self, ids: Sequence[str], verb: InstanceVerb, force: bool = False) -> DeedResult:
        """As the controller does, at once; what cannot be done is refused one by one."""
        self._answer()
        self.deeds.append((verb, tuple(ids)))
        errors: dict[str, ErrorBody] = {}
        for name in ids:
            try:
                self._deed_to(name, verb, force)
            except UserError as error:
                errors[name] = error.body()
        return DeedResult(done=len(ids) - len(errors), errors=errors)

    def _deed_to(self, name: str, verb: InstanceVerb, force: bool) -> None:
        if name in self.refusals and not (force and self.refusals[name].code == "instances.other_computer"):
            raise self.refusals[name]
        one = self.managed.get(name)
        if one is None:
            raise NotFound("run.unknown", run=name)
        if verb == "adopt":
            self.change_instance(name, known=True, run_name=one.run_name or f"adopted-{one.run[:4]}")
        elif (verb == "remove") == (one.state in AT_WORK):
            raise Conflict("run.wrong_state", run=one.run_name, verb=verb, state=one.state, hint="")
        elif verb == "remove":
            del self.managed[name]
        else:
            at = time.time()
            code = 0 if verb == "stop" else 137
            week = at + 7 * fake_instances.DAY
            self.change_instance(name, state="exited", ended=at, exit_code=code, expires=week, cpu_percent=None,
                                 memory=None)  # fmt: skip


def _seen(one: Instance, lost: bool) -> Instance:
    return one.model_copy(update={"state": "unreachable"}) if lost and one.state in AT_WORK else one
