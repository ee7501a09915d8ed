"""Where a chaos run takes place: a home of its own (on a small disk, if we may mount one), nodes and runs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.client.client import ControllerClient
from engine.contract.errors import Conflict, UserError
from engine.contract.nodes import LOCAL, MoveView
from engine.contract.paths import Home, code_root
from tests.chaos import light_worker
from tests.chaos.nodes import Nodes, until_reachable
from tests.helpers.controller import make_spec
from tests.helpers.waiting import wait_until

RUNS = 8
STEPS = (150, 400)
LONG_STEPS = (600, 1500)
"""Of every third run, where runs are moved: that takes seconds."""
DELAY_S = 0.01
DISK = "256m"
HEAL_S = 240.0
WORK_S = 6.0
AT_WORK = 6
LIVE = ("preparing", "running", "finishing")
IN_CONTAINER_DELAY_S = 0.02
AUTO = "auto"


@dataclass(frozen=True)
class Row:
    """What happened on one node."""

    node: str
    runs: int
    attempts: int
    ends: str


class Arena:
    """Eight runs at a time below one controller; more where there are more nodes."""

    def __init__(self, folder: Path, chance: random.Random, nodes: Nodes | None = None, processes: bool = True) -> None:
        self.folder, self.chance, self.nodes = folder, chance, nodes
        self.places = [*([LOCAL] if processes else []), *(nodes.engines if nodes is not None else ())]
        self.most = RUNS if nodes is None else RUNS + len(self.places)
        self._undone: list[tuple[float, Callable[[], None]]] = []
        self.home = Home(folder / "home")
        self.home.root.mkdir(parents=True)
        self.small_disk = _mount(self.home.root)
        self.client = ControllerClient(self.home, timeout=10.0)
        self.controller: subprocess.Popen[bytes]
        self._made, self._joined, self._lines, self.most_live = 0, False, 0, 0
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        worker = folder / "python"
        worker.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{light_worker.__file__}" "$@"\n')
        worker.chmod(0o755)
        self._environment = {
            **os.environ,
            "FORGE_HOME": str(self.home.root),
            "FORGE_WORKER_PYTHON": str(worker),
            "PYTHONPATH": str(code_root()),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }
        settings = {"slots": {"gpu": RUNS}, "retry_seconds": 0.05, "stop_grace_seconds": 10, "spare_workers": 0}
        self.home.settings_file.write_text(json.dumps(settings))

    def spawn_controller(self, more: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start one, without waiting."""
        self.controller = subprocess.Popen(
            [sys.executable, "-m", "engine.control"], env={**self._environment, **(more or {})},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self.controller

    def end_controller(self, number: signal.Signals) -> None:
        """End it, and wait until it is gone."""
        if self.controller.poll() is None:
            self.controller.send_signal(number)
        try:
            self.controller.wait(20)
        except subprocess.TimeoutExpired:
            self.controller.kill()
            self.controller.wait()
            raise AssertionError("the controller did not end when it was told to") from None

    def later(self, seconds: float, undo: Callable[[], None]) -> None:
        """What a fault did is undone in a while, other faults may come between."""
        self._undone.append((time.monotonic() + seconds, undo))

    def mend(self, everything: bool = False) -> None:
        """Undo what has lasted long enough."""
        due = [entry for entry in self._undone if everything or entry[0] <= time.monotonic()]
        for entry in due:
            self._undone.remove(entry)
            entry[1]()

    def ready(self) -> None:
        """A controller that answers, its nodes, and eight runs that are not done."""
        self.mend()
        until = time.monotonic() + 60
        while not self._tried(until):
            time.sleep(0.02)
        self._let_work()

    def _let_work(self) -> None:
        """Faults mean little to runs that wait: a moment for containers, which start cold."""
        until = time.monotonic() + (WORK_S if self.nodes is not None else 0.0)
        while True:
            with contextlib.suppress(UserError):
                counts = self.client.runs(limit=0).counts
                live = sum(counts.get(state, 0) for state in LIVE)
                self.most_live = max(self.most_live, live)
                if counts.get("running", 0) >= AT_WORK:
                    return
            if time.monotonic() >= until:
                return
            self.mend()
            time.sleep(0.1)

    def until_healthy(self) -> None:
        """The controller answers; nothing new is asked of it."""
        wait_until(self._answers, 60, "the controller answers")

    def _answers(self) -> bool:
        with contextlib.suppress(UserError):
            return self.client.health().pid == self.controller.pid
        return False

    def _tried(self, until: float) -> bool:
        """One try; one that fell to a named place is started again."""
        if self.controller.poll() is not None:
            self.spawn_controller()
        with contextlib.suppress(UserError):
            if self._answers():
                self.join()
                self.fill()
                return True
        assert time.monotonic() < until, f"no controller: {self.home.controller_log.read_text()[-3000:]}"
        return False

    def join(self) -> None:
        """The nodes, once."""
        if self.nodes is None or self._joined:
            return
        self.nodes.join(self.client)
        if LOCAL not in self.places:
            self.client.set_node_state(LOCAL, "offline")
        until_reachable(self.client)
        self._joined = True

    def _place(self) -> dict[str, str]:
        """One node after the other, and now and then the scheduler's choice."""
        number = self._made % (len(self.places) + 1)
        return {"node": self.places[number] if number < len(self.places) else AUTO}

    def fill(self) -> None:
        """Make runs until there are eight that are not completed."""
        counts = self.client.runs(limit=0).counts
        for _ in range(self.most - sum(count for state, count in counts.items() if state != "completed")):
            self._made += 1
            longer = self.nodes is not None and self._made % 3 == 0
            steps = self.chance.randint(*(LONG_STEPS if longer else STEPS))
            delay = DELAY_S if self.nodes is None else IN_CONTAINER_DELAY_S
            name = f"steps={steps} delay={delay} every={self.chance.randint(15, 60)} seed={self._made}"
            limits = {"retries": 100}
            compute = self._place() if self.nodes is not None else {}
            self.client.create(make_spec(self.folder, name, limits=limits, compute=compute))

    def stir(self, chance: random.Random, point: str) -> None:
        """Small wishes, so that named places in the middle of commands, starts and cleaning are passed."""
        if point.startswith("retention."):
            done = [run for run in self.client.runs(states=["completed"], limit=100).runs if run.cleaned is None]
            if done:
                self.client.clean(chance.choice(done).uid)
            return
        if point.startswith("moving."):
            self._stir_moves(chance, point)
            return
        runs = self.client.runs(limit=100).runs
        run = chance.choice(runs) if runs else None
        if run is None:
            return
        with contextlib.suppress(Conflict):
            if run.state in ("paused", "stopped", "failed"):
                self.client.resume(run.uid)
            elif run.state == "running":
                self.client.pause(run.uid)

    def _stir_moves(self, chance: random.Random, point: str) -> None:
        """One move under way; given up, where the way back is to be passed."""
        under_way = self.moves_under_way()
        if not under_way:
            runs = self.client.runs(states=["running"], limit=100).runs
            if runs:
                run = chance.choice(runs)
                with contextlib.suppress(Conflict):
                    self.client.move_run(run.uid, chance.choice([place for place in self.places if place != run.node]))
        elif point == "moving.before_back" and under_way[0].step != "saving":
            with contextlib.suppress(Conflict):
                self.client.cancel_move(under_way[0].uid)

    def moves_under_way(self) -> list[MoveView]:
        """Those that are not over."""
        return [move for move in self.client.moves() if move.state == "running"]

    def heal(self) -> None:
        """No more faults: every run is started again until it is completed, then the controller is ended."""
        self.mend(everything=True)
        (self.home.root / "worker-fault").unlink(missing_ok=True)
        if self.controller.poll() is None:
            self.end_controller(signal.SIGKILL)
        self.spawn_controller()
        self.ready()
        until = time.monotonic() + HEAL_S
        while True:
            left = [run for run in self.client.runs(limit=1000).runs if run.state != "completed"]
            if not left and not self.moves_under_way():
                break
            for run in left:
                if run.state in ("paused", "stopped", "failed", "draft"):
                    with contextlib.suppress(Conflict):
                        self.client.start(run.uid)
            assert time.monotonic() < until, f"not healed: {[(run.uid, run.state, run.reason) for run in left]}"
            time.sleep(0.1)
        wait_until(lambda: not [p for p in self.processes("worker", "monitor") if _alive(p)], 30, "workers have gone")
        self.end_controller(signal.SIGTERM)

    @property
    def tally(self) -> str:
        """How much there is to be looked at."""
        journals = list(self.home.runs.glob("*/attempts/*/journal.jsonl"))
        self._lines = sum(path.read_bytes().count(b"\n") for path in journals) or self._lines
        return f"{self._made} runs, {self.most_live} at once, {self._lines} journal lines"

    def attempts(self) -> list[Row]:
        """Where attempts worked, and how they ended."""
        self.tally  # noqa: B018 - before files go
        sql = (
            "SELECT node.name, run_id, attempt.reason FROM attempt JOIN member ON member.attempt_id = attempt.id "
            "JOIN node ON node.id = node_id ORDER BY node.id"
        )
        with contextlib.closing(sqlite3.connect(self.home.database)) as connection:
            found = connection.execute(sql).fetchall()
        rows = []
        for name in dict.fromkeys(row[0] for row in found):
            mine = [row for row in found if row[0] == name]
            ends = Counter(row[2] for row in mine).most_common()
            text = ", ".join(f"{reason} {count}" for reason, count in ends)
            rows.append(Row(name, len({row[1] for row in mine}), len(mine), text))
        return rows

    def processes(self, *who: str) -> Iterator[dict[str, Any]]:
        """Identities of workers or monitors of all attempts so far."""
        for path in self.home.runs.glob("*/attempts/*/monitor.json"):
            try:
                content = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            yield from (content[one] for one in who if content.get(one))

    def close(self) -> None:
        """End what is left and give the disk back."""
        self.mend(everything=True)
        self.client.close()
        with contextlib.suppress(AttributeError):
            if self.controller.poll() is None:
                self.controller.kill()
                self.controller.wait()
        for process in self.processes("worker", "monitor"):
            if _alive(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process["pid"], signal.SIGKILL)
        if self.small_disk:
            subprocess.run(["umount", "-l", str(self.home.root)], check=True)


def _alive(process: dict[str, Any]) -> bool:
    from engine.control.executors import identity

    return identity.alive(process)


def _mount(folder: Path) -> bool:
    """A small disk, if this user may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
