"""Running a worker, in this process or as one of its own, and reading what it wrote."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

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
