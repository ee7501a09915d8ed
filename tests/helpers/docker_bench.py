"""An executor on a real engine, and attempts to give it; the worker learns a number, so that a run takes seconds."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.contract import PROTOCOL_VERSION
from engine.contract.checkpoints import ResumePoint
from engine.contract.durable import write_json
from engine.contract.errors import Unreachable
from engine.contract.nodes import NodeProfile, Transfer
from engine.contract.paths import AttemptFolder, Home, code_root
from engine.contract.run_spec import AttemptOrder, RunSpec
from engine.control.executors.base import Exit, Launch
from engine.control.executors.docker import files, names
from engine.control.executors.docker.executor import DockerExecutor
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.opening import open_link
from tests.helpers.docker_engines import Engine
from tests.helpers.docker_image import CODE
from tests.helpers.docker_profiles import local_profile
from tests.helpers.waiting import wait_until

LIGHT = [
    f"{code_root() / 'tests'}:{CODE}/tests",
    f"{code_root() / 'tests' / 'helpers' / 'container_worker.py'}:{CODE}/engine/compute/worker/__main__.py",
]
"""Mounted over the worker's program."""
BUNDLED = {"path": "demo", "hub": "bundled"}


class Attempt:
    """One attempt of a run, given to an executor."""

    def __init__(self, bench: DockerBench, folder: AttemptFolder, order: AttemptOrder) -> None:
        self.bench, self.folder, self.order, self.handle = bench, folder, order, ""

    @property
    def name(self) -> str:
        """Of its container."""
        return names.container_name(self.order.run, self.order.attempt)

    @property
    def volume(self) -> str:
        return names.volume_name(self.order.run)

    def start(self, executor: DockerExecutor | None = None, **launch: Any) -> Attempt:
        executor = executor or self.bench.executor
        self.handle = executor.start(Launch(self.folder, [], order=self.order, **launch))
        return self

    def poll(self) -> Exit | None:
        """None also while the node cannot be reached."""
        try:
            return self.bench.executor.poll(self.folder, self.handle)
        except Unreachable:
            return None

    def unreachable(self) -> bool:
        try:
            self.bench.executor.poll(self.folder, self.handle)
        except Unreachable:
            return True
        return False

    def ended(self, timeout: float = 60) -> Exit:
        return wait_until(self.poll, timeout, "the attempt has ended")

    def lines(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What is here of its journal."""
        if not self.folder.journal.exists():
            return []
        whole = self.folder.journal.read_bytes().rpartition(b"\n")[0]
        found = [json.loads(line) for line in whole.split(b"\n") if line]
        return [line for line in found if kind is None or line["kind"] == kind]

    def until_step(self, step: int, timeout: float = 60) -> None:
        wait_until(lambda: any(line["step"] >= step for line in self.lines("step")), timeout, f"step {step} is here")

    def theirs(self, name: str) -> bytes:
        """A file of the attempt over there."""
        path = names.there(self.folder.root / name, self.folder.run)
        found = files.read(self.bench.engine.api, self.name, path, 1 << 30)
        assert found is not None
        return found

    def prove_copied(self) -> None:
        """Every line once and in order, journal and log byte for byte as over there."""
        assert [line["seq"] for line in self.lines()] == list(range(1, len(self.lines()) + 1))
        assert self.folder.journal.read_bytes() == self.theirs("journal.jsonl")
        assert self.folder.log.read_bytes() == self.theirs("worker.log")


class DockerBench:
    """One home, one node."""

    def __init__(self, engine: Engine, image: str, home: Home, profile: NodeProfile, link: Link) -> None:
        self.engine, self.image, self.home, self.profile, self.link = engine, image, home, profile, link
        self.told: list[Transfer] = []
        self.executor = self.new_executor()

    def new_executor(self, **profile: Any) -> DockerExecutor:
        """As a controller that starts makes it."""
        chosen = self.profile.model_copy(update=profile)
        return DockerExecutor(self.link, chosen, self.home, lambda: self.image, self.told.append)

    def controller_dies(self) -> None:
        """Another takes its place: nothing of the old one is known but what lies on the disk."""
        self.executor.close()
        self.executor = self.new_executor()

    def attempt(
        self, name: str = "steps=10 delay=0.05 every=5 seed=1", uid: str = "", n: int = 1, lease: str = "",
        resume: list[ResumePoint] | None = None, compute: dict[str, Any] | None = None, **job: Any,
    ) -> Attempt:  # fmt: skip
        """Its folder and order, as the controller makes them."""
        uid = uid or f"r{secrets.token_hex(5)}"
        trains = {"kind": "train", "data": {"train": [BUNDLED]}} if job.get("kind", "train") == "train" else {}
        found = {"model": BUNDLED, **trains, **job}
        spec = RunSpec.model_validate({"name": name, "owner": "ada", "job": found, "compute": compute or {}})
        folder = self.home.attempt(uid, n)
        folder.control.mkdir(parents=True)
        folder.outputs.mkdir()
        order = AttemptOrder(
            protocol=PROTOCOL_VERSION, run=uid, attempt=n, lease=lease or f"lease {uid} {n}", spec=spec,
            resume=resume or [],
        )  # fmt: skip
        write_json(folder.order, order.model_dump(mode="json"))
        return Attempt(self, folder, order)

    def state(self, attempt: Attempt) -> dict[str, Any]:
        """The container's."""
        return dict(self.engine.api.inspect_container(attempt.name)["State"])


@contextmanager
def docker_bench(
    engine: Engine, image: str, mounts: list[str], folder: Path, light: bool = True, **profile: Any
) -> Iterator[DockerBench]:
    """A bench on the local engine."""
    made = local_profile(engine, mounts=[*mounts, *(LIGHT if light else [])], mirror_minutes=0, **profile)
    link = open_link(made)
    bench = DockerBench(engine, image, Home(folder / "home"), made, link)
    try:
        yield bench
    finally:
        bench.executor.close()
        link.close()
