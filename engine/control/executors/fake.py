"""A double that ships: a worker without a process, for tests of scheduling and state changes.

By default it does nothing until it is told: `play` appends journal lines, `end` ends it. Of several nodes each has
one of its own; `away` plays a node that does not answer, `faults` one that cannot start anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.contract.commands import WorkerCommand
from engine.contract.durable import write_durably
from engine.contract.errors import ErrorBody, Unreachable, UserError
from engine.contract.paths import AttemptFolder
from engine.control.executors.base import Exit, Launch, SparePlan, SpareStatus


@dataclass
class FakeWorker:
    """One pretended worker."""

    folder: AttemptFolder
    seq: int = 0
    exit: Exit | None = None
    stops: int = 0
    frozen: bool = False
    launch: Launch | None = None
    """What it was started with."""

    @property
    def lease(self) -> str:
        """Under which it works."""
        return self.launch.order.lease if self.launch is not None and self.launch.order is not None else ""

    def play(self, *lines: dict[str, Any]) -> None:
        """Append lines to the journal; `v`, `seq` and `t` are filled in unless given."""
        with self.folder.journal.open("ab") as journal:
            for line in lines:
                self.seq = line.get("seq", self.seq + 1)
                journal.write(json.dumps({"v": 1, "seq": self.seq, "t": time.time(), **line}).encode() + b"\n")

    def end(
        self,
        code: int | None = 0,
        signal: int | None = None,
        at: float | None = None,
        out_of_memory: bool = False,
        node_fault: ErrorBody | None = None,
    ) -> None:
        """The process is gone."""
        self.exit = Exit(code, signal, at, out_of_memory, node_fault)


@dataclass
class FakeExecutor:
    """Keeps the pretended workers by the name of their folder."""

    name: str = "fake"
    workers: dict[str, FakeWorker] = field(default_factory=dict)
    refuse: OSError | UserError | None = None
    """Raised by the next starts."""
    away: bool = False
    """Nobody answers: every question raises Unreachable."""
    lost_answer: bool = False
    """The next start works, and its answer does not come back."""
    faults: ErrorBody | None = None
    """The next workers never come to work, by the node's fault."""
    removed: list[str] = field(default_factory=list)
    """Runs of which nothing is left here."""
    asked: int = 0
    """How many questions there were."""
    closed: bool = False
    fenced: list[tuple[str, str]] = field(default_factory=list)
    """Runs and the leases that were said to be valid."""

    def answer(self) -> None:
        """What every question begins with; also for whoever asks whether the node answers."""
        self.asked += 1
        if self.away:
            raise Unreachable("placement.unreachable", node=self.name)

    def start(self, launch: Launch) -> str:
        """Remember the worker."""
        self.answer()
        if self.refuse is not None:
            raise self.refuse
        key = str(launch.folder.root)
        self.workers[key] = FakeWorker(launch.folder, launch=launch)
        if self.faults is not None:
            self.workers[key].end(None, node_fault=self.faults)
        if self.lost_answer:
            self.lost_answer = False
            raise Unreachable("placement.unreachable", node=self.name)
        return key

    def adopt(self, folder: AttemptFolder, handle: str, lease: str = "") -> bool:  # noqa: ARG002 - the folder says it all
        """Only what was started can be adopted."""
        self.answer()
        return str(folder.root) in self.workers

    def poll(self, folder: AttemptFolder, handle: str) -> Exit | None:  # noqa: ARG002
        """As told."""
        return self._worker(folder).exit

    def stop(self, folder: AttemptFolder, handle: str) -> None:  # noqa: ARG002
        """Count the request; the worker's answer is up to the test."""
        self._worker(folder).stops += 1

    def send(self, folder: AttemptFolder, handle: str, command: WorkerCommand) -> None:  # noqa: ARG002 - a file does
        """A file in its control folder."""
        self.answer()
        write_durably(folder.control / f"{command.id}.json", command.model_dump_json().encode())

    def frozen(self, folder: AttemptFolder, handle: str) -> bool:  # noqa: ARG002
        """As told."""
        return self._worker(folder).frozen

    def kill(self, folder: AttemptFolder, handle: str) -> None:  # noqa: ARG002
        """Gone at once."""
        self._worker(folder).end(None, 9)

    def remove(self, uid: str) -> bool:
        """What a run has left goes, unless a worker of it lives."""
        self.answer()
        left = [worker for key, worker in self.workers.items() if f"/{uid}/" in key]
        if any(worker.exit is None for worker in left):
            return False
        self.removed.append(uid)
        return True

    def keep_spares(self, plan: Callable[[], SparePlan | None]) -> None:
        """A pretended worker starts at once anyway."""

    def spare(self) -> SpareStatus:
        """None."""
        return SpareStatus()

    def fence(self, uid: str, lease: str) -> int:
        """End workers of a run that have another lease."""
        self.answer()
        self.fenced.append((uid, lease))
        stale = [
            worker for worker in self.workers.values()
            if worker.exit is None and worker.launch and worker.launch.order
            and worker.launch.order.run == uid and worker.launch.order.lease != lease
        ]  # fmt: skip
        for worker in stale:
            worker.end(None, 9)
        return len(stale)

    def close(self) -> None:
        """Nothing is held."""
        self.closed = True

    def _worker(self, folder: AttemptFolder) -> FakeWorker:
        self.answer()
        return self.workers[str(folder.root)]
