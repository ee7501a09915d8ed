"""The faults of a chaos run: what each does to controller, workers, monitors, disk and runs."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.contract.errors import UserError
from engine.contract.faults import POINTS
from engine.control.executors import identity
from tests.chaos.arena import LIVE, Arena

Fault = Callable[[Arena, random.Random], str]
WORKER_POINTS = tuple(point for point in POINTS if point.startswith(("durable.", "monitor.")))
ELSEWHERE = ("monitor.", "migration.", "move.", "install.")
"""Places a controller at work does not pass. The migration dies once at the start of every chaos run."""
CONTROLLER_POINTS = tuple(point for point in POINTS if not point.startswith(ELSEWHERE))
MOVING = "moving."
"""Passed where runs have somewhere else to go."""
AT_POINT_S, AT_MOVE_S = 3.0, 20.0
"""How long a controller with a fault inside may live on, once it answers, before it is ended from outside."""
START_S = 15.0
ONCE = ("start.", "command.", "retention.", MOVING)
"""Places that are not passed often."""


def kill_controller(arena: Arena, _chance: random.Random) -> str:
    """SIGKILL at a random moment."""
    arena.end_controller(signal.SIGKILL)
    return "controller killed"


def end_controller(arena: Arena, _chance: random.Random) -> str:
    """SIGTERM: it closes in good order."""
    arena.end_controller(signal.SIGTERM)
    return "controller ended"


def freeze_controller(arena: Arena, chance: random.Random) -> str:
    """Stopped for a while, as when the computer sleeps."""
    arena.controller.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.1, 0.8))
    arena.controller.send_signal(signal.SIGCONT)
    return "controller frozen"


def at_point(point: str) -> Fault:
    """The controller dies when it next passes a named place."""

    def fault(arena: Arena, chance: random.Random) -> str:
        arena.end_controller(signal.SIGKILL)
        once, patience = point.startswith(ONCE), AT_MOVE_S if point.startswith(MOVING) else AT_POINT_S
        count = 1 if once else chance.randint(1, 30)
        process = arena.spawn_controller({"FORGE_FAULT": f"{point}:kill:{count}"})
        until = began = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(UserError):
                arena.stir(chance, point)
                until = time.monotonic() + patience if until == began else until
            arena.mend()
            time.sleep(0.02)
        reached = process.poll() is not None
        arena.end_controller(signal.SIGKILL)
        return f"controller at {point} ({'reached' if reached else 'not reached'})"

    return fault


def worker_at_point(point: str) -> Fault:
    """The next worker that starts dies at a named place."""

    def fault(arena: Arena, chance: random.Random) -> str:
        (arena.home.root / "worker-fault").write_text(f"{point}:kill:{chance.randint(1, 6)}")
        return kill_worker(arena, chance) + f", the next at {point}"

    return fault


def signal_one(who: str, number: signal.Signals) -> Fault:
    """A signal to a random live worker or monitor."""

    def fault(arena: Arena, chance: random.Random) -> str:
        alive = [process for process in arena.processes(who) if identity.alive(process)]
        if not alive:
            return f"no {who} to signal"
        chosen = chance.choice(alive)
        with contextlib.suppress(ProcessLookupError):
            os.kill(chosen["pid"], number)
            if number == signal.SIGSTOP:
                time.sleep(chance.uniform(0.1, 0.8))
                if identity.alive(chosen):
                    os.kill(chosen["pid"], signal.SIGCONT)
        return f"{who} {chosen['pid']}: {number.name}"

    return fault


kill_worker = signal_one("worker", signal.SIGKILL)


def damage_checkpoint(arena: Arena, chance: random.Random) -> str:
    """One bit of a checkpoint turns over."""
    files = [path for path in arena.home.runs.glob("*/checkpoints/a*/number.json") if path.is_file()]
    if not files:
        return "no checkpoint to damage"
    path = chance.choice(files)
    with contextlib.suppress(FileNotFoundError):
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1
        path.write_bytes(content)
    return f"damaged {path.parent.name}"


def fill_disk(arena: Arena, chance: random.Random) -> str:
    """No room for a while."""
    if not arena.small_disk:
        return "the disk is not ours to fill"
    filler = arena.home.root / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"\0" * 65536)
            file.flush()
    time.sleep(chance.uniform(0.2, 1.0))
    filler.unlink()
    return "disk full for a while"


def wish(verb: str, *states: str) -> Fault:
    """A person asks for something, of a run in one of the states."""

    def fault(arena: Arena, chance: random.Random) -> str:
        runs = arena.client.runs(states=states, limit=100).runs
        if not runs:
            return f"nothing to {verb}"
        run = chance.choice(runs)
        WISHES[verb](arena, run.uid)
        return f"{verb} {run.uid}"

    return fault


WISHES: dict[str, Callable[[Arena, str], Any]] = {
    "pause": lambda arena, uid: arena.client.pause(uid),
    "resume": lambda arena, uid: arena.client.resume(uid),
    "start over": lambda arena, uid: arena.client.resume(uid, from_start=True),
    "stop": lambda arena, uid: arena.client.stop(uid),
    "stop without saving": lambda arena, uid: arena.client.stop(uid, save=False),
    "save": lambda arena, uid: arena.client.checkpoint(uid),
    "clean": lambda arena, uid: arena.client.clean(uid),
    "delete": lambda arena, uid: arena.client.delete(uid),
}
NAMED_OF_PROCESSES: list[Fault] = [worker_at_point(point) for point in WORKER_POINTS]
RANDOM: list[tuple[int, Fault]] = [
    (6, kill_controller),
    (2, end_controller),
    (2, freeze_controller),
    (3, damage_checkpoint),
    (3, fill_disk),
    (3, wish("pause", *LIVE, "queued")),
    (4, wish("resume", "paused", "stopped", "failed")),
    (1, wish("start over", "paused", "stopped", "failed")),
    (2, wish("stop", *LIVE)),
    (1, wish("stop without saving", *LIVE)),
    (2, wish("save", *LIVE)),
    (1, wish("clean", "completed")),
    (1, wish("delete", "paused", "stopped", "failed", "completed")),
]
RANDOM_OF_PROCESSES: list[tuple[int, Fault]] = [
    (6, kill_worker),
    (3, signal_one("worker", signal.SIGTERM)),
    (2, signal_one("worker", signal.SIGSTOP)),
    (3, signal_one("monitor", signal.SIGKILL)),
    (1, signal_one("monitor", signal.SIGSTOP)),
]


def plan(
    count: int, chance: random.Random, more: Sequence[Sequence[Fault]] = (), processes: bool = True
) -> Iterator[Fault]:
    """So many faults: every named place in turn, the kinds of the nodes and of moves in turn, random ones between."""
    points = [point for point in CONTROLLER_POINTS if more or not point.startswith(MOVING)]
    named = [*map(at_point, points), *(NAMED_OF_PROCESSES if processes else ())]
    others = [*RANDOM, *(RANDOM_OF_PROCESSES if processes else ())]
    chance.shuffle(named)
    turns: list[Iterator[Fault]] = [itertools.cycle(named), _random(others, chance)]
    for kinds in more:
        shuffled = list(kinds)
        chance.shuffle(shuffled)
        turns.append(itertools.cycle(shuffled))
    for number in range(count):
        yield next(turns[number % len(turns)])


def _random(faults: list[tuple[int, Fault]], chance: random.Random) -> Iterator[Fault]:
    weights = [weight for weight, _ in faults]
    while True:
        yield chance.choices(faults, weights)[0][1]
