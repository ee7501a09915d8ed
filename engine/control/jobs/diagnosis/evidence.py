"""What is known about a failed run, and where rules look for signs in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.contract.errors import ErrorBody
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import EndReason
from engine.control.jobs.diagnosis.excerpt import ending, plain

RAW = {
    *("", "worker.bug", "worker.vanished", "worker.killed", "worker.killed_memory", "worker.hung"),
    *("worker.disk_full", "memory.exhausted", "environment.import", "run.start_failed"),
}
"""Errors that repeat what a library or the system said. Any other code was given by one who knew what was wrong:
then the log has nothing to add, and a warning in it must not speak louder."""
RAW_ROOMS = ("docker.", "node.")


@dataclass(frozen=True)
class Evidence:
    """What is known about a failed run."""

    spec: RunSpec
    reason: EndReason | None
    error: ErrorBody | None
    log: str = ""
    """The first and the last part of the worker's log."""
    readings: dict[str, float] = field(default_factory=dict)
    """The last device readings."""
    device: str = ""

    @property
    def job(self) -> TrainJob | None:
        """The training job, if it is one."""
        return self.spec.job if isinstance(self.spec.job, TrainJob) else None

    @property
    def code(self) -> str:
        """The error's code."""
        return self.error.code if self.error else ""

    @property
    def is_raw(self) -> bool:
        """Nobody has said yet what the failure means."""
        return self.code in RAW or self.code.startswith(RAW_ROOMS)

    def param(self, name: str) -> Any:
        """A parameter of the error."""
        return self.error.params.get(name, "") if self.error else ""

    @cached_property
    def text(self) -> str:
        """What rules look through: what the error says, and the log where that may add to it."""
        return self._with_error(plain(self.log) if self.is_raw else "")

    @cached_property
    def ending(self) -> str:
        """The last words only, for signs that may also stand in a harmless warning long before."""
        return self._with_error(ending(plain(self.log)) if self.is_raw else "")

    def _with_error(self, log: str) -> str:
        said = (str(self.param("detail")), self.error.why) if self.error is not None else ()
        return "\n".join(part for part in (log, *said) if part)
