"""`make chaos`: CHAOS_FAULTS faults (200) from CHAOS_SEED over eight runs; ends with 0 if nothing was lost."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from engine.contract.errors import UserError
from tests.chaos import faults
from tests.chaos.arena import Arena
from tests.chaos.verify import problems


def main() -> int:
    """Faults, healing, and a look at everything."""
    seed = int(os.environ.get("CHAOS_SEED") or time.time())
    count = int(os.environ.get("CHAOS_FAULTS") or 200)
    print(f"CHAOS_SEED={seed} CHAOS_FAULTS={count}", flush=True)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="forge-chaos-"))
    arena, began = Arena(folder, chance), time.monotonic()
    found = ["the run broke off"]
    try:
        arena.spawn_controller({"FORGE_FAULT": "migration.before_commit:kill:1"})
        for number, fault in enumerate(faults.plan(count, chance), 1):
            arena.ready()
            time.sleep(chance.uniform(0.0, 0.4))
            try:
                told = fault(arena, chance)
            except UserError as error:  # refused, or nobody answered: that may be
                told = f"{getattr(fault, '__name__', 'fault')}: {error.code}"
            print(f"{number:4d}  {time.monotonic() - began:6.1f} s  {told}", flush=True)
        arena.heal()
        found = problems(arena.home)
        report(arena, found, count, time.monotonic() - began)
    finally:
        if found and os.environ.get("CHAOS_KEEP"):
            shutil.copytree(arena.home.root, folder / "kept")
            print(f"kept in {folder / 'kept'}")
        arena.close()
        if not (found and os.environ.get("CHAOS_KEEP")):
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


def report(arena: Arena, found: list[str], count: int, seconds: float) -> None:
    """What was gone through, and what is wrong."""
    journals = list(arena.home.runs.glob("*/attempts/*/journal.jsonl"))
    lines = sum(path.read_bytes().count(b"\n") for path in journals)
    runs = len(list(arena.home.runs.iterdir()))
    print(f"{count} faults in {seconds:.0f} s: {runs} runs, {len(journals)} attempts, {lines} journal lines")
    for problem in found:
        print(f"  WRONG  {problem}")
    print("nothing lost, nothing twice, nothing left behind" if not found else f"{len(found)} problems")


if __name__ == "__main__":
    sys.exit(main())
