"""What a node offers to a run that is about to be moved there, before anything is stopped elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.contract.paths import AttemptFolder
from engine.control.executors.base import Launch

Tell = Callable[[int, int], None]
"""Bytes that have come, and how many there are."""
Check = Callable[[], None]
"""Raises where nobody wants it any more."""


class Stage(Protocol):
    """Its methods wait for the node: call them on a thread. They raise UserError where something is in the way."""

    def ready(self, launch: Launch, check: Check) -> None:
        """Bring everything a start would need but the checkpoint: whoever looks here finds out what is wrong."""

    def send(self, folder: AttemptFolder, checkpoint: Path, tell: Tell, check: Check) -> None:
        """Bring a checkpoint of the run's folder; nothing where it lies there already."""

    def sums(self, folder: AttemptFolder, checkpoint: Path) -> dict[str, str]:
        """Name and sha256 of each of its files, as they are read there."""
