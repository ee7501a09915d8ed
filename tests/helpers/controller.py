"""Controllers for tests: in this process with a pretended worker, or as a real process on a home of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.client.address import read_address
from engine.client.client import ControllerClient
from engine.contract.nodes import LOCAL
from engine.contract.paths import Home, code_root
from engine.contract.run_spec import RunSpec
from engine.control.executors import identity
from engine.control.executors.fake import FakeExecutor, FakeWorker
from engine.control.jobs import queue
from engine.control.jobs.controller import Controller
from engine.control.jobs.fake_places import FakePlaces, facts_of
from engine.control.jobs.queue import Claim, Terms
from engine.control.jobs.requests import Request
from engine.control.jobs.scheduler import Offer
from engine.control.store.database import Database, Transaction
from tests.helpers.waiting import PATIENCE_S, eventually, wait_until

STUB = Path(__file__).with_name("stub_worker.py")


def make_files(folder: Path) -> tuple[Path, Path]:
    """A model folder and a data file that pass the check of names and sizes."""
    model, data = folder / "model", folder / "rows.jsonl"
    model.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).write_text("{}")
    data.write_text('{"messages": []}\n')
    return model, data


def make_spec(folder: Path, name: str = "a run", **changes: Any) -> RunSpec:
    """An order that could be started."""
    model, data = make_files(folder)
    job = {"kind": "train", "model": {"path": str(model)}, "data": {"train": [{"path": str(data)}]}}
    return RunSpec.model_validate({"name": name, "job": job, **changes})


def make_stub_python(folder: Path) -> Path:
    """An "interpreter" that runs the stub worker whatever module it is asked for."""
    path = folder / "stub-python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STUB}" "$@"\n')
    path.chmod(0o755)
    return path


def take_next(
    transaction: Transaction,
    slots: dict[str, int],
    gpus: Sequence[str],
    executor: str,
    at: float,
    prices: dict[str, float] | None = None,
) -> Claim | None:
    """Take the first run that waits, where there is no node but this computer."""
    local = Offer(1, LOCAL, executor=executor, slots=slots, gpus=tuple(gpus), crowded=slots["gpu"] > len(gpus))
    return queue.take(transaction, Terms([local], prices or {}), at)


class Bench:
    """A controller in this process whose workers are pretended."""

    def __init__(self, folder: Path, executor: FakeExecutor | None = None) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.executor = executor or FakeExecutor()
        self.places = FakePlaces()
        """Of all nodes but this computer."""
        self.reading_every = 5.0
        """Seconds between two readings of a node."""
        self.database: Database
        self.controller: Controller

    @contextlib.asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator[Bench]:
        """The controller at work; the next `running` finds what this one left."""
        self.home.root.mkdir(parents=True, exist_ok=True)
        if settings:
            self.home.settings_file.write_text(json.dumps(settings))
        self.database = Database(self.home.database)
        self.controller = Controller(self.home, self.database, self.executor, self.places)
        self.controller.health.every = self.reading_every
        await self.controller.begin()
        try:
            yield self
        finally:
            await self.controller.end()
            self.database.close()

    async def create(self, name: str = "a run", start: bool = True, key: str | None = None, **changes: Any) -> str:
        """Make a run; its id."""
        spec = make_spec(self.folder, name, **changes)
        return (await self.controller.create(spec, start, Request("create", key=key, body=name))).uid

    async def state(self, uid: str) -> str:
        """Where the run stands."""
        return (await self.row(uid))["state"]

    async def row(self, uid: str) -> Any:
        """The run's row."""
        return await self.database.read(lambda c: c.execute("SELECT * FROM run WHERE uid = ?", (uid,)).fetchone())

    async def until(self, uid: str, *states: str) -> Any:
        """Wait for a state."""
        deadline = time.monotonic() + PATIENCE_S
        while (row := await self.row(uid)) is None or row["state"] not in states:
            assert time.monotonic() < deadline, f"run is {row and row['state']}, not {states}"
            await asyncio.sleep(0.01)
        return row

    async def add_node(self, name: str, gpus: int = 0, **values: Any) -> FakeExecutor:
        """A pretended node that answers; its executor."""
        self.places.facts.setdefault(name, facts_of(gpus, engine_id=name))
        await self.controller.add_node({"name": name, "kind": "docker_local", **values}, Request("node_add"))
        await self.controller.doctor(name)
        await self.until_reach(name, "reachable")
        return self.places.executor(name)

    async def until_reach(self, name: str, reach: str) -> None:
        """Wait until a node answers, or does not."""
        await eventually(lambda: self.controller.pool.node(name).reach == reach, what=f"{name} is {reach}")

    async def worker(self, uid: str, attempt: int = 1) -> FakeWorker:
        """The pretended worker, once it is started, on whichever node."""
        key = str(self.home.attempt(uid, attempt).root)

        def started() -> FakeWorker | None:
            executors = (self.executor, *self.places.executors.values())
            return next((one.workers[key] for one in executors if key in one.workers), None)

        found = await eventually(started, what="the worker is started")
        assert found is not None
        return found

    def fetch(self, sql: str, *parameters: Any) -> list[Any]:
        """Look into the history."""
        return self.database.read_now(lambda c: c.execute(sql, parameters).fetchall())


class ControllerProcess:
    """A real controller on a home of its own."""

    def __init__(self, folder: Path, worker_python: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.worker_python = worker_python
        self.client = ControllerClient(self.home)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What everything of this home is started with."""
        named = {"FORGE_HOME": str(self.home.root), "FORGE_WORKER_PYTHON": str(self.worker_python)}
        return {**os.environ, **named, "PYTHONPATH": str(code_root())}

    def start(self) -> subprocess.Popen[bytes]:
        """Start it and wait until it answers."""
        process = self.spawn()
        wait_until(lambda: self._answers(process), what="the controller answers")
        return process

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it without waiting."""
        self.home.root.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen([sys.executable, "-m", "engine.control"], env=self.environment)
        self._processes.append(process)
        return process

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, f"the controller ended with {process.returncode}"
        address = read_address(self.home)
        return address is not None and address.pid == process.pid

    def running(self) -> bool:
        """Whether one that was started here lives."""
        return any(process.poll() is None for process in self._processes)

    def forge(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        command = [sys.executable, "-m", "engine.cli", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )  # fmt: skip

    def spec(self, name: str, **changes: Any) -> RunSpec:
        """An order for the stub worker; its name says how it behaves."""
        return make_spec(self.folder, name, **changes)

    def until(self, uid: str, *states: str, timeout: float = PATIENCE_S) -> Any:
        """Wait for a state."""
        return wait_until(
            lambda: (detail := self.client.run(uid)).run.state in states and detail, timeout, f"run is {states}"
        )

    def journal(self, uid: str, attempt: int = 1) -> list[dict[str, Any]]:
        """The worker's journal."""
        text = self.home.attempt(uid, attempt).journal.read_text()
        return [json.loads(line) for line in text.splitlines()]

    def close(self) -> None:
        """End the controller, and every monitor and worker by its recorded identity."""
        self.client.close()
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._end_recorded()

    def _end_recorded(self) -> None:
        address = read_address(self.home)  # one that a command started
        if address is not None:
            _kill(identity.of(address.pid))
        for file in self.home.runs.glob("*/attempts/*/monitor.json"):
            content = json.loads(file.read_text())
            for who in (content["worker"], content["monitor"]):
                if who and identity.alive(who):
                    _kill(who)


def _kill(who: dict[str, Any] | None) -> None:
    if who is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(who["pid"]), signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A controller in this process; enter `bench.running()`."""
    monkeypatch.setenv("FORGE_WORKER_PYTHON", sys.executable)
    return Bench(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ControllerProcess]:
    """A real controller, not started yet, whose worker is the stub."""
    service = ControllerProcess(tmp_path, make_stub_python(tmp_path))
    try:
        yield service
    finally:
        service.close()
