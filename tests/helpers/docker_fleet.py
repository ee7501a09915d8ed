"""A real controller whose nodes are real engines, and runs that move between them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.contract.errors import Unreachable
from engine.contract.nodes import Instance, MoveView
from engine.contract.paths import code_root
from engine.contract.run_spec import RunSpec
from tests.chaos import light_worker
from tests.helpers.controller import ControllerProcess
from tests.helpers.docker_bench import BUNDLED, LIGHT
from tests.helpers.docker_engines import Engine, RemoteEngine
from tests.helpers.docker_profiles import local_profile, tls_profile
from tests.helpers.waiting import PATIENCE_S, wait_until

REAL = code_root() / ".venv-worker" / "bin" / "python"


class Fleet(ControllerProcess):
    """Nodes `here` (this computer's engine), `far` (the other one, by TLS) and `local` (processes)."""

    def __init__(self, folder: Path, light: bool, image: str, mounts: list[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, light_python(folder) if light else REAL)
        self.light, self.image, self.mounts = light, image, [*mounts, *(LIGHT if light else [])]
        self.home.root.mkdir(parents=True)
        settings = {"worker_image": image, "slots": {"gpu": 4}, "retry_seconds": 0.1, "spare_workers": 0}
        self.home.settings_file.write_text(json.dumps(settings))

    def add(self, here: Engine | None = None, far: RemoteEngine | None = None) -> None:
        """Use these engines as nodes."""
        more: dict[str, Any] = {"mounts": self.mounts, "mirror_minutes": 1000, "max_runs": 4}
        for profile in (
            *((local_profile(here, **more),) if here is not None else ()),
            *((tls_profile(far, **more),) if far is not None else ()),
        ):
            self.client.add_node(profile)
            wait_until(lambda name=profile.name: self.client.node(name).reach == "reachable", what="the node answers")

    def stop_controller(self) -> None:
        """Workers go on."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                process.wait(20)

    def ask_for_move(self, uid: str, node: str) -> None:
        """Its answer may not come back: the controller may die of it."""
        with suppress(Unreachable):
            self.client.move_run(uid, node)

    def cancel(self, uid: str) -> None:
        """The same."""
        with suppress(Unreachable):
            self.client.cancel_move(uid)

    def order(self, name: str, node: str, **training: Any) -> RunSpec:
        """A run of the bundled model; of the light worker, which reads its name, where there is that."""
        data = {"train": [{**BUNDLED, "limit": 32}], "max_length": 128}
        settings = {"micro_batch_size": 4, "learning_rate": 0.001, "threads": 1, **training}
        job = {"kind": "train", "model": BUNDLED, "data": data, "training": settings}
        return RunSpec.model_validate({"name": name, "job": job, "compute": {"node": node}, "owner": "ada"})

    def until_step(self, uid: str, step: int, attempt: int = 1) -> None:
        """A step of an attempt is in the history."""
        wait_until(
            lambda: (run := self.client.run(uid).run).attempt == attempt and (run.step or 0) >= step,
            PATIENCE_S, f"step {step}",
        )  # fmt: skip

    def until_moved(self, move: MoveView, timeout: float = 120.0) -> MoveView:
        """It is over."""

        def over() -> MoveView | None:
            found = next(one for one in self.client.moves() if one.uid == move.uid)
            return found if found.state != "running" else None

        return wait_until(over, timeout, "the move is over")

    def losses(self, uid: str) -> list[tuple[int, float]]:
        """Of every attempt, in their order, what a later one overwrote left out."""
        found: dict[int, float] = {}
        for n in range(1, self.client.run(uid).run.attempt + 1):
            if self.home.attempt(uid, n).journal.exists():
                steps = [line for line in self.journal(uid, n) if line["kind"] == "step"]
                found = {step: loss for step, loss in found.items() if not steps or step < steps[0]["step"]}
                found |= {line["step"]: line["values"]["loss"] for line in steps}
        return sorted(found.items())

    def codes(self, uid: str) -> list[str]:
        """Of the notes in its timeline."""
        import sqlite3

        connection = sqlite3.connect(self.home.database)
        try:
            rows = connection.execute(
                "SELECT event.body FROM event JOIN run ON run.id = run_id WHERE uid = ? AND event.kind = 'note' "
                "ORDER BY cursor",
                (uid,),
            ).fetchall()
        finally:
            connection.close()
        return [json.loads(body)["code"] for (body,) in rows if "code" in json.loads(body)]

    def instance(self, run: str, attempt: int = 1) -> Instance | None:
        """Of a run's attempt."""
        found = self.client.instances().instances
        return next((one for one in found if (one.run, one.attempt) == (run, attempt)), None)


def light_python(folder: Path) -> Path:
    """An "interpreter" that runs the light worker."""
    path = folder / "light-python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{light_worker.__file__}" "$@"\n')
    path.chmod(0o755)
    return path


@contextmanager
def fleet(folder: Path, image: str, mounts: list[str], light: bool = True) -> Iterator[Fleet]:
    """A home of its own; its controller is to be started."""
    made = Fleet(folder, light, image, mounts)
    try:
        yield made
    finally:
        made.close()
