"""The parts of a worker that every kind of job shares: its voice, its ears and its clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine.compute.worker.commands import Commands, StopFlag
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.telemetry import Telemetry, Ticker
from engine.contract.errors import ErrorBody
from engine.contract.secrets import GivenSecrets
from engine.contract.states import EndReason, RunState

POLL_SECONDS = 0.2


@dataclass
class Worker:
    """Handed to a job's session."""

    report: Reporter
    commands: Commands
    stop: StopFlag
    telemetry: Telemetry
    ticker: Ticker
    secrets: GivenSecrets = field(default_factory=GivenSecrets)
    ending: tuple[RunState, EndReason, ErrorBody | None] | None = None
    """What the last word will be, where it is not that everything was done."""
    began: float = field(default_factory=time.monotonic)
    _polled: float = 0.0

    def listen(self) -> None:
        """Look for commands, five times a second at most, and for a thread that failed."""
        now = time.monotonic()
        if now - self._polled >= POLL_SECONDS:
            self._polled = now
            self.commands.poll()
        if self.ticker.failure is not None:
            failure, self.ticker.failure = self.ticker.failure, None
            raise failure

    def check(self) -> None:
        """A place where the worker can end with nothing to save; raises StopRequest."""
        self.listen()
        self.stop.raise_if_set()
