"""What the controller asks of a place where workers run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from engine.contract.commands import WorkerCommand
from engine.contract.errors import ErrorBody
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder


@dataclass(frozen=True)
class Launch:
    """What is to be started, and where its files are."""

    folder: AttemptFolder
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    """Variables in addition to the controller's own."""
    order: AttemptOrder | None = None
    """As it stands in the folder. An executor elsewhere gives its worker one with the paths of over there."""
    devices: tuple[str, ...] = ()
    """GPUs it may use, by index; empty: the processor."""
    owner: str = ""
    ports: tuple[int, ...] = ()
    """Ports it serves."""
    keep_days: float | None = 7.0
    """How long what remains of it over there is kept after the end."""


@dataclass(frozen=True)
class Exit:
    """How a worker's process ended. Neither code nor signal: it is gone and nobody saw how."""

    code: int | None = None
    signal: int | None = None
    at: float | None = field(default=None, compare=False)
    """When, by the wall clock; without a witness, its last sign of life. None: not known."""
    out_of_memory: bool = False
    """The system ended it because its memory was used up."""
    node_fault: ErrorBody | None = None
    """It never came to work, and that is the node's fault: the run waits again."""


@dataclass(frozen=True)
class SparePlan:
    """Which spare workers are wanted."""

    python: str
    environment: dict[str, str]
    """As in `Launch`, but for what depends on the run."""
    log: Path
    """Where a spare that breaks says why."""
    count: int = 1
    memory: int = 0
    """Bytes that must be available on the computer; with less, spares are given up."""
    method: Literal["auto", "spawn"] = "auto"


SpareState = Literal["ready", "warming", "off", "given_up", "broken"]


@dataclass(frozen=True)
class SpareStatus:
    """Whether the next start will be quick, and what that costs."""

    state: SpareState = "off"
    bytes: int = 0


class Executor(Protocol):
    """Starts, watches and ends workers. Its methods may wait for files and processes: call them on a thread.

    The attempt's folder is always a folder of the controller's computer. An executor elsewhere keeps it a true copy:
    the journal a prefix of the worker's, byte for byte, never ahead of it; results whole and verified before `poll`
    tells of the end. Any method may raise `Unreachable`: then nothing is known, and nothing has failed.
    """

    name: str

    def start(self, launch: Launch) -> str:
        """Start the worker; the handle finds it again, also after a restart of the controller."""

    def adopt(self, folder: AttemptFolder, handle: str, lease: str = "") -> bool:
        """Take over an attempt of an earlier controller; False if it never started and now never will.

        An attempt whose order names another lease is somebody else's and is left alone.
        """

    def poll(self, folder: AttemptFolder, handle: str) -> Exit | None:
        """None while the worker lives."""

    def stop(self, folder: AttemptFolder, handle: str) -> None:
        """Ask the worker to save and stop (SIGTERM)."""

    def send(self, folder: AttemptFolder, handle: str, command: WorkerCommand) -> None:
        """Hand the worker a command; repeating one is harmless."""

    def frozen(self, folder: AttemptFolder, handle: str) -> bool:
        """Whether somebody holds the worker's process still (SIGSTOP, a debugger): then silence proves nothing."""

    def kill(self, folder: AttemptFolder, handle: str) -> None:
        """End the worker and everything it started, at once."""

    def keep_spares(self, plan: Callable[[], SparePlan | None]) -> None:
        """From now on keep spare workers as planned; the plan is asked for again and again."""

    def spare(self) -> SpareStatus:
        """How it stands with spare workers; waits for nothing."""

    def close(self) -> None:
        """The controller ends: so do spare workers. Workers go on."""
