"""Where a chaos run takes place: a home of its own (on a small disk, if we may mount one), controller and runs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.client.client import ControllerClient
from engine.contract.errors import Conflict, UserError
from engine.contract.paths import Home, code_root
from tests.chaos import light_worker
from tests.helpers.controller import make_spec
from tests.helpers.waiting import wait_until

RUNS = 8
STEPS = (150, 400)
DELAY_S = 0.01
DISK = "256m"
HEAL_S = 240.0


class Arena:
    """Eight runs at a time below one controller."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.home = Home(folder / "home")
        self.home.root.mkdir(parents=True)
        self.small_disk = _mount(self.home.root)
        self.client = ControllerClient(self.home, timeout=10.0)
        self.controller: subprocess.Popen[bytes]
        self._made = 0
        worker = folder / "python"
        worker.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{light_worker.__file__}" "$@"\n')
        worker.chmod(0o755)
        self._environment = {
            **os.environ,
            "FORGE_HOME": str(self.home.root),
            "FORGE_WORKER_PYTHON": str(worker),
            "PYTHONPATH": str(code_root()),
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

    def ready(self) -> None:
        """A controller that answers, and eight runs that are not done."""
        until = time.monotonic() + 60
        while True:
            if self.controller.poll() is not None:
                self.spawn_controller()
            try:
                health = self.client.health()
                if health.pid == self.controller.pid:
                    self.fill()
                    return
            except UserError:
                pass
            assert time.monotonic() < until, f"no controller: {self.home.controller_log.read_text()[-3000:]}"
            time.sleep(0.02)

    def fill(self) -> None:
        """Make runs until there are eight that are not completed."""
        counts = self.client.runs(limit=0).counts
        for _ in range(RUNS - sum(count for state, count in counts.items() if state != "completed")):
            self._made += 1
            steps = self.chance.randint(*STEPS)
            name = f"steps={steps} delay={DELAY_S} every={self.chance.randint(15, 60)} seed={self._made}"
            limits = {"retries": 100}
            self.client.create(make_spec(self.folder, name, limits=limits))

    def stir(self, chance: random.Random, point: str) -> None:
        """Small wishes, so that named places in the middle of commands, starts and cleaning are passed."""
        if point.startswith("retention."):
            done = [run for run in self.client.runs(states=["completed"], limit=100).runs if run.cleaned is None]
            if done:
                self.client.clean(chance.choice(done).uid)
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

    def heal(self) -> None:
        """No more faults: every run is started again until it is completed, then the controller is ended."""
        (self.home.root / "worker-fault").unlink(missing_ok=True)
        if self.controller.poll() is None:
            self.end_controller(signal.SIGKILL)
        self.spawn_controller()
        self.ready()
        until = time.monotonic() + HEAL_S
        while True:
            left = [run for run in self.client.runs(limit=1000).runs if run.state != "completed"]
            if not left:
                break
            for run in left:
                if run.state in ("paused", "stopped", "failed", "draft"):
                    with contextlib.suppress(Conflict):
                        self.client.start(run.uid)
            assert time.monotonic() < until, f"not healed: {[(run.uid, run.state, run.reason) for run in left]}"
            time.sleep(0.1)
        wait_until(lambda: not [p for p in self.processes("worker", "monitor") if _alive(p)], 30, "workers have gone")
        self.client.close()
        self.end_controller(signal.SIGTERM)

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
