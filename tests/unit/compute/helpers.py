"""Running a worker, in this process or as one of its own, and reading what it wrote."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.compute.worker.commands import StopFlag
from engine.compute.worker.session import run_attempt
from engine.contract.events import journal_line

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Attempt:
    folder: Path

    def run(self, stop: StopFlag | None = None) -> int:
        """In this process: quick, for torch is imported already."""
        return run_attempt(self.folder, StopFlag() if stop is None else stop)

    def start(self, **environment: str) -> subprocess.Popen:
        """As a process of its own."""
        command = [sys.executable, "-m", "engine.compute.worker", str(self.folder)]
        with (self.folder / "worker.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )

    @property
    def journal(self) -> list:
        return [journal_line.validate_json(line) for line in (self.folder / "journal.jsonl").read_bytes().splitlines()]

    @property
    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def of(self, kind: str) -> list:
        return [line for line in self.journal if line.kind == kind]

    @property
    def end(self):
        """The last word; a reading of the machine may still come behind it."""
        return next((line for line in reversed(self.journal) if line.kind == "ended"), self.journal[-1])

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    def wait_for(self, kind: str, process: subprocess.Popen, count: int = 1, limit: float = 100) -> None:
        """Until so many lines of a kind are in the journal."""
        until = time.monotonic() + limit
        path = self.folder / "journal.jsonl"
        while not path.exists() or path.read_bytes().count(f'"kind":"{kind}"'.encode()) < count:
            assert process.poll() is None, self.log
            assert time.monotonic() < until, f"no {kind} line in {limit} s"
            time.sleep(0.02)  # between two looks at the file


def assert_goes_on(whole: Attempt, step: int, names: Sequence[str]) -> Attempt:
    """From its checkpoint of this step, another attempt has the same values of the steps that follow, bit for bit."""
    order = json.loads((whole.folder / "order.json").read_text())
    point = {"attempt": 1, "step": step, "path": f"checkpoints/a1-s{step}"}
    folder = whole.folder.parent / "2"
    folder.mkdir()
    (folder / "order.json").write_text(json.dumps(order | {"attempt": 2, "resume_required": True, "resume": [point]}))
    torch.manual_seed(999)  # where chance stands must not matter
    again = Attempt(folder)
    assert again.run() == 0, again.end
    first, second = (
        [{name: line.values.get(name) for name in names} for line in made.of("step") if line.step > step]
        for made in (whole, again)
    )
    assert first
    assert first == second
    return again
