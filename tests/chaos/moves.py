"""Faults of moves: runs go from node to node, and whoever carries them dies in the middle of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence

from engine.contract.errors import UserError
from engine.contract.nodes import LOCAL, MoveView
from engine.control.executors import identity
from engine.control.executors.docker import names
from tests.chaos.arena import Arena
from tests.chaos.node_faults import WORKER, Fault, listing, to_daemon, to_way
from tests.chaos.nodes import HURT

Deed = Callable[[Arena, random.Random, MoveView], str]
MOVABLE_S = 12.0
"""Containers start cold: so long a run that works is waited for."""
STEP_S = 10.0
"""So long the step of a move is waited for at which something is to happen."""
STEPS = ("saving", "stopping", "copying", "verifying", "starting", "releasing")
AT_WORK = ("saving", "starting", "releasing")
"""Steps at which there is a worker."""
LEFT_S = 0.3


def begin(arena: Arena, chance: random.Random) -> MoveView | None:
    """A run that works is to work elsewhere; None: none can."""
    until = time.monotonic() + MOVABLE_S
    while time.monotonic() < until:
        arena.mend()
        with contextlib.suppress(UserError):
            moving = {move.run for move in arena.client.moves() if move.state == "running"}
            runs = [run for run in arena.client.runs(states=["running"], limit=100).runs if run.uid not in moving]
            chance.shuffle(runs)
            for run in sorted(runs, key=lambda run: (run.total_steps or 0) - (run.step or 0), reverse=True):
                targets = [place for place in arena.places if place != run.node]
                with contextlib.suppress(UserError):  # it ends just now, or nobody answers there
                    return arena.client.move_run(run.uid, chance.choice(targets))
        time.sleep(0.2)
    return None


def move(arena: Arena, chance: random.Random) -> str:
    """Nothing else: it is to come there, whatever else happens next."""
    found = begin(arena, chance)
    return f"move {_told(found)}" if found is not None else "nothing to move"


def move_and(name: str, deed: Deed, steps: Sequence[str] = STEPS) -> Fault:
    """At some step of a move something happens."""

    def fault(arena: Arena, chance: random.Random) -> str:
        wanted = chance.choice(steps)
        found = begin(arena, chance)
        if found is None:
            return f"nothing to move, and to {name}"
        found = _until_step(arena, found, wanted)
        time.sleep(chance.uniform(0.0, LEFT_S))
        try:
            told = deed(arena, chance, found)
        except UserError as error:
            told = error.code
        except HURT as error:
            told = type(error).__name__
        return f"move {_told(found)}, {name} at {found.step if found.state == 'running' else found.state}: {told}"

    return fault


def _told(move: MoveView) -> str:
    return f"{move.run} {move.source} → {move.target}"


def _until_step(arena: Arena, move: MoveView, wanted: str) -> MoveView:
    """The move as it stands when it has got so far, or is over."""
    until = time.monotonic() + STEP_S
    while move.state == "running" and STEPS.index(move.step) < STEPS.index(wanted) and time.monotonic() < until:
        time.sleep(0.05)
        arena.mend()
        with contextlib.suppress(UserError):
            move = next((one for one in arena.client.moves() if one.uid == move.uid), move)
    return move


def kill_controller(arena: Arena, _chance: random.Random, _move: MoveView) -> str:
    """Another one has to take the move up."""
    arena.end_controller(signal.SIGKILL)
    return "killed"


def kill_worker(arena: Arena, _chance: random.Random, move: MoveView) -> str:
    """Where the run works now, on the source or already on the target."""
    run = arena.client.run(move.run).run
    pid = _worker(arena, run.node, run.uid, run.attempt)
    if pid is None:
        return f"none on {run.node}"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return f"killed on {run.node}"


def _worker(arena: Arena, node: str, uid: str, attempt: int) -> int | None:
    assert arena.nodes is not None
    if node == LOCAL:
        with contextlib.suppress(OSError, ValueError, KeyError):
            worker = json.loads((arena.home.attempt(uid, attempt).root / "monitor.json").read_bytes())["worker"]
            return int(worker["pid"]) if identity.alive(worker) else None
        return None
    if node not in arena.nodes.answering():
        return None
    found = listing(arena.nodes, node, names.container_name(uid, attempt), WORKER)
    return found[-1] if found else None


def cut_the_way(arena: Arena, chance: random.Random, _move: MoveView) -> str:
    """The tunnel's sessions end, or its client is killed."""
    return to_way(chance.choice(["end the sessions of", "kill the client of"]))(arena, chance)


def kill_daemon(arena: Arena, chance: random.Random, move: MoveView) -> str:
    """Of the target, or the source, whichever has one."""
    assert arena.nodes is not None
    free = [name for name in (move.target, move.source) if name in arena.nodes.answering()]
    return to_daemon("kill", chance.choice(free))(arena, chance) if free else "none is there to be killed"


def cancel(arena: Arena, _chance: random.Random, move: MoveView) -> str:
    """A person gives it up."""
    arena.client.cancel_move(move.uid)
    return "asked for"


def pause(arena: Arena, _chance: random.Random, move: MoveView) -> str:
    """A person's wish counts for more."""
    arena.client.pause(move.run)
    return "asked for"


KINDS: list[Fault] = [
    move,
    move_and("kill the controller", kill_controller),
    move_and("kill the worker", kill_worker, AT_WORK),
    move,
    move_and("cut the tunnel", cut_the_way),
    move_and("kill a daemon", kill_daemon),
    move_and("cancel", cancel),
    move_and("pause", pause),
]
"""Every kind, as often as it is to come."""
