"""`make chaos`: CHAOS_FAULTS faults (200) from CHAOS_SEED over eight runs; ends with 0 if nothing was lost.

CHAOS_EXECUTORS=docker,process says where they work; without it docker takes part where an engine can start. After
CHAOS_MINUTES, or when it is told to end (SIGTERM), there are no more faults: what there was is judged.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from engine.contract.errors import UserError
from tests.chaos import faults, moves, node_faults
from tests.chaos.arena import Arena
from tests.chaos.nodes import Nodes, chosen, running_nodes
from tests.chaos.owners import disputed
from tests.chaos.verify import problems
from tests.chaos.verify_moves import move_problems, moves_told
from tests.chaos.verify_nodes import cleared, expired, links, node_problems
from tests.helpers.docker_process import CannotStart

LOOK_EVERY = 10
"""Faults, until somebody looks whether one place owns each run."""


def main() -> int:
    """Engines if there are to be any, then everything else."""
    seed = int(os.environ.get("CHAOS_SEED") or time.time())
    count = int(os.environ.get("CHAOS_FAULTS") or 200)
    processes, docker = chosen()
    with contextlib.ExitStack() as ended:
        nodes = None
        if docker is not False:
            try:
                nodes = ended.enter_context(running_nodes())
            except CannotStart as reason:
                print(f"no Docker engine: {reason}", flush=True)
                if docker:
                    return 2
        return fight(seed, count, nodes, processes)


def fight(seed: int, count: int, nodes: Nodes | None, processes: bool) -> int:
    """Faults, healing, and a look at everything."""
    executors = ",".join([*(["docker"] if nodes else []), *(["process"] if processes else [])])
    print(f"CHAOS_SEED={seed} CHAOS_FAULTS={count} CHAOS_EXECUTORS={executors}", flush=True)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="forge-chaos-"))
    arena, began = Arena(folder, chance, nodes, processes), time.monotonic()
    found, disputes, done = ["the run broke off"], list[str](), 0
    limit, enough = 60 * float(os.environ.get("CHAOS_MINUTES") or "inf"), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    try:
        arena.spawn_controller({"FORGE_FAULT": "migration.before_commit:kill:1"})
        of_nodes = [node_faults.KINDS, moves.KINDS] if nodes else []
        for number, fault in enumerate(faults.plan(count, chance, of_nodes, processes), 1):
            if enough.is_set() or time.monotonic() - began > limit:
                break
            arena.ready()
            done = number
            time.sleep(chance.uniform(0.0, 0.4))
            try:
                told = fault(arena, chance)
            except UserError as error:  # refused, or nobody answered: that may be
                told = f"{getattr(fault, '__name__', 'fault')}: {error.code}"
            print(f"{number:4d}  {time.monotonic() - began:6.1f} s  {told}", flush=True)
            disputes += disputed(arena) if nodes and number % LOOK_EVERY == 0 else []
        arena.heal()
        found = disputes + judge(arena, nodes)
        report(arena, found, done, time.monotonic() - began)
    finally:
        if found and os.environ.get("CHAOS_KEEP"):
            shutil.copytree(arena.home.root, folder / "kept")
            print(f"kept in {folder / 'kept'}")
        arena.close()
        if not (found and os.environ.get("CHAOS_KEEP")):
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


def judge(arena: Arena, nodes: Nodes | None) -> list[str]:
    """Everything that is wrong; the nodes are looked at as they are, then when nothing is to be kept, then later."""
    found = problems(arena.home) + links(arena.runtime)
    if nodes is None:
        return found
    found += node_problems(nodes, arena.home) + move_problems(arena.home)
    table(arena, nodes)
    arena.spawn_controller()
    arena.until_healthy()
    found += cleared(nodes, arena.home, arena.client)
    arena.end_controller(signal.SIGTERM)
    waited, kept = expired(nodes, arena.home)
    print(f"{waited} containers and volumes of runs that were deleted while their node was away went when due")
    return found + kept + links(arena.runtime)


def table(arena: Arena, nodes: Nodes) -> None:
    """Where attempts worked, and how they ended."""
    print(f"\n{'node':<8}{'runs':>6}{'attempts':>10}{'containers':>12}  ends")
    for row in arena.attempts():
        containers = len(nodes.engines[row.node].api.containers(all=True)) if row.node in nodes.engines else ""
        print(f"{row.node:<8}{row.runs:>6}{row.attempts:>10}{containers:>12}  {row.ends}")
    print(f"\nmoves: {moves_told(arena.home)}\n")


def report(arena: Arena, found: list[str], count: int, seconds: float) -> None:
    """What was gone through, and what is wrong."""
    print(f"{count} faults in {seconds:.0f} s: {arena.tally}")
    for problem in found:
        print(f"  WRONG  {problem}")
    print("nothing lost, nothing twice, nothing left behind" if not found else f"{len(found)} problems")


if __name__ == "__main__":
    sys.exit(main())
