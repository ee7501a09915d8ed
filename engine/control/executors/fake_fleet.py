"""Doubles that ship: a node that takes runs which are moved there, and one whose instances are pretended."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder
from engine.control.executors.base import Launch
from engine.control.executors.docker.whole import sha256
from engine.control.executors.fake import FakeExecutor, FakeWorker
from engine.control.executors.seen import Seen
from engine.control.executors.stage import Check, Tell

PATIENCE_S = 60.0


@dataclass
class FakeStage:
    """Remembers what was brought."""

    executor: FakeExecutor
    failing: dict[str, UserError] = field(default_factory=dict)
    """What `ready`, `send` or `sums` raises."""
    damaged: bool = False
    """What lies there is not what was sent."""
    hold: threading.Event | None = None
    """Sending waits for it."""
    made_ready: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def ready(self, launch: Launch, check: Check) -> None:
        """Nothing is brought."""
        self._begin("ready")
        check()
        self.made_ready.append(launch.folder.run.name)

    def send(self, folder: AttemptFolder, checkpoint: Path, tell: Tell, check: Check) -> None:
        """In two halves."""
        del folder
        total = sum(path.stat().st_size for path in checkpoint.rglob("*") if path.is_file())
        tell(total // 2, total)
        if self.hold is not None:
            self.hold.wait(PATIENCE_S)
        self._begin("send")
        check()
        tell(total, total)
        self.sent.append(checkpoint.name)

    def sums(self, folder: AttemptFolder, checkpoint: Path) -> dict[str, str]:
        """Of the files here."""
        del folder
        self._begin("sums")
        found = {path.name: sha256(path) for path in checkpoint.iterdir()}
        return dict.fromkeys(found, "0" * 64) if self.damaged else found

    def _begin(self, what: str) -> None:
        self.executor.answer()
        if what in self.failing:
            raise self.failing[what]


@dataclass
class FakeHands:
    """Pretended workers are there as long as nobody removes them; others are there as a test says."""

    executor: FakeExecutor
    strays: dict[str, Seen] = field(default_factory=dict)
    orders: dict[str, bytes] = field(default_factory=dict)
    done: list[tuple[str, str]] = field(default_factory=list)
    """Verb and handle."""
    _gone: set[str] = field(default_factory=set)

    def listed(self) -> Sequence[Seen]:
        """All of it."""
        self.executor.answer()
        found = [self._seen(key, worker) for key, worker in self.executor.workers.items()]
        return [seen for seen in [*found, *self.strays.values()] if seen.handle not in self._gone]

    def end(self, seen: Seen, save: bool) -> None:
        """Noted; the rest is up to the test."""
        self.executor.answer()
        self.done.append(("stop" if save else "kill", seen.handle))

    def remove(self, seen: Seen) -> None:
        """It is gone."""
        self.executor.answer()
        self.done.append(("remove", seen.handle))
        self._gone.add(seen.handle)

    def order(self, seen: Seen) -> bytes | None:
        """As a test said."""
        self.executor.answer()
        return self.orders.get(seen.handle)

    def _seen(self, key: str, worker: FakeWorker) -> Seen:
        path, ended = Path(key), worker.exit is not None
        return Seen(
            f"{path.parents[1].name}-{path.name}", path.parents[1].name, int(path.name),
            state="exited" if ended else "paused" if worker.frozen else "running", lease=worker.lease,
            exit_code=worker.exit.code if worker.exit else None,
        )  # fmt: skip
