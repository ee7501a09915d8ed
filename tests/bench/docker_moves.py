"""How long a run stands still when it is moved, beside stopping and starting it by hand, and where that time goes."""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.contract.nodes import LOCAL
from tests.helpers.docker_engines import Engines, running_engines
from tests.helpers.docker_fleet import Fleet, fleet
from tests.helpers.docker_image import OtherPython, thin_image, thin_mounts
from tests.helpers.docker_process import CannotStart
from tests.helpers.waiting import wait_until

ROUNDS = 3
ROUTE = ("here", "far", LOCAL)
"""Each round goes once around."""
STAGES = {
    "ended": "save, end of the worker",
    "here": "its end is seen, everything fetched and checked",
    "laid": "checkpoint to the target, read back there",
    "began": "container or process made, its first line",
    "step": "imports, model, data, first step",
}
"""What passes between two marks of a move, in their order."""


class Bench:
    """One run that goes around and around."""

    def __init__(self, fleet: Fleet, light: bool) -> None:
        self.fleet = fleet
        name = "steps=900000 delay=0.02 every=100000 seed=7" if light else "moved"
        self.uid = fleet.client.create(fleet.order(name, LOCAL, max_steps=100_000)).uid
        self._until_new_step()

    def move(self, target: str) -> dict[str, float]:
        """Seconds between the marks of one move; all together is the standstill."""
        with self._verified() as seen:
            move = self.fleet.until_moved(self.fleet.client.move_run(self.uid, target), 300)
        assert move.state == "done", move.error
        marks = self._marks(self._attempt - 1)
        marks["laid"] = seen.get(move.uid, marks["here"])
        ordered = [marks[name] for name in ("last", *STAGES)]
        return {name: after - before for name, (before, after) in zip(STAGES, pairwise(ordered), strict=True)}

    def by_hand(self) -> float:
        """Stopped, and started again where it was: seconds from the last step to the first."""
        self.fleet.client.stop(self.uid)
        self.fleet.until(self.uid, "stopped", timeout=120)
        before = self._attempt
        self.fleet.client.resume(self.uid)
        wait_until(lambda: self._attempt > before, 60, "another attempt")
        self._until_new_step()
        marks = self._marks(before)
        return marks["step"] - marks["last"]

    def cold(self) -> float:
        """A new run as a process: from the order to its first step."""
        began = time.time()
        name = "steps=3 delay=0.02 every=100 seed=1" if self.fleet.light else "cold"
        run = self.fleet.client.create(self.fleet.order(name, LOCAL, max_steps=1)).uid
        self.fleet.until(run, "completed", timeout=120)
        return next(line["t"] for line in self.fleet.journal(run, 1) if line["kind"] == "step") - began

    @property
    def _attempt(self) -> int:
        return self.fleet.client.run(self.uid).run.attempt

    def _until_new_step(self) -> None:
        wait_until(lambda: self._attempt > 0, 60, "it is started")
        journal = self.fleet.home.attempt(self.uid, self._attempt).journal
        wait_until(lambda: journal.exists() and b'"kind":"step"' in journal.read_bytes(), 120, "it trains")

    def _marks(self, left: int) -> dict[str, float]:
        before, after = self.fleet.journal(self.uid, left), self.fleet.journal(self.uid, left + 1)
        return {
            "last": [line["t"] for line in before if line["kind"] == "step"][-1],
            "ended": next(line["t"] for line in before if line["kind"] == "ended"),
            "here": self.fleet.home.attempt(self.uid, left).exit.stat().st_mtime,
            "began": next(line["t"] for line in after if line["kind"] == "started"),
            "step": next(line["t"] for line in after if line["kind"] == "step"),
        }

    @contextmanager
    def _verified(self) -> Iterator[dict[str, float]]:
        """When each move was heard to begin to start on its target."""
        seen: dict[str, float] = {}
        done = threading.Event()

        def listen() -> None:
            while not done.wait(0.02):
                for move in self.fleet.client.moves():
                    if move.step == "starting":
                        seen.setdefault(move.uid, time.time())

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join()


def moving(engines: Engines, folder: Path, light: bool, rounds: int = ROUNDS) -> None:
    """Around the nodes, by hand at each, and cold starts, in turn."""
    taken: dict[str, list[dict[str, float]]] = defaultdict(list)
    hand: dict[str, list[float]] = defaultdict(list)
    cold: list[float] = []
    image = thin_image(engines.local)
    thin_image(engines.remote)
    with fleet(folder, image, thin_mounts(), light=light) as made:
        made.start()
        made.add(engines.local, engines.remote)
        bench, source = Bench(made, light), LOCAL
        for _ in range(rounds):
            for target in ROUTE:
                taken[f"{_named(source)} → {_named(target)}"].append(bench.move(target))
                hand[target].append(bench.by_hand())
                source = target
            cold.append(bench.cold())
    _told(taken, hand, cold, light)


def _named(node: str) -> str:
    return "process" if node == LOCAL else f"container {node}"


def _told(taken: dict[str, Any], hand: dict[str, list[float]], cold: list[float], light: bool) -> None:
    start = statistics.median(cold)
    kind = "that learns a number" if light else "that trains the bundled model"
    print(f"A worker {kind}; cold start of a process {start:.2f} s. Seconds, medians of {len(cold)}.\n")
    print(
        "| move | standstill | stop and start by hand there | ratio | by cold start | "
        + " | ".join(STAGES.values())
        + " |"
    )
    print("|---|" + "---:|" * (4 + len(STAGES)))
    for (way, moves), target in zip(taken.items(), ROUTE, strict=True):
        whole, by_hand = statistics.median(sum(one.values()) for one in moves), statistics.median(hand[target])
        stages = " | ".join(f"{statistics.median(one[stage] for one in moves):.2f}" for stage in STAGES)
        print(f"| {way} | {whole:.2f} | {by_hand:.2f} | {whole / by_hand:.2f} | {whole / start:.2f} | {stages} |")
    print(flush=True)


def main() -> int:
    """Print a table of light workers, then one of real ones; the argument says how many rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    try:
        with running_engines(own_local=True) as engines:
            for light in (True, False):
                with tempfile.TemporaryDirectory() as place:
                    moving(engines, Path(place) / "fleet", light, rounds)
    except (CannotStart, OtherPython) as reason:
        print(f"not measured: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
