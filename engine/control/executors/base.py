"""What the controller asks of a place where workers run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from engine.contract.paths import AttemptFolder


@dataclass(frozen=True)
class Launch:
    """What is to be started, and where its files are."""

    folder: AttemptFolder
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    """Variables in addition to the controller's own."""


@dataclass(frozen=True)
class Exit:
    """How a worker's process ended. Neither code nor signal: it is gone and nobody saw how."""

    code: int | None = None
    signal: int | None = None


class Executor(Protocol):
    """Starts, watches and ends workers. Its methods may wait for files and processes: call them on a thread."""

    name: str

    def start(self, launch: Launch) -> str:
        """Start the worker; the handle finds it again, also after a restart of the controller."""

    def adopt(self, folder: AttemptFolder, handle: str) -> bool:
        """Take over an attempt of an earlier controller; False if it never started and now never will."""

    def poll(self, folder: AttemptFolder, handle: str) -> Exit | None:
        """None while the worker lives."""

    def stop(self, folder: AttemptFolder, handle: str) -> None:
        """Ask the worker to save and stop (SIGTERM)."""

    def frozen(self, folder: AttemptFolder, handle: str) -> bool:
        """Whether somebody holds the worker's process still (SIGSTOP, a debugger): then silence proves nothing."""

    def kill(self, folder: AttemptFolder, handle: str) -> None:
        """End the worker and everything it started, at once."""
