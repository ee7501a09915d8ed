"""What notices and first steps ask of a controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.contract.api import RunSummary


@dataclass(frozen=True)
class DiskRoom:
    """The disk that holds the data folder: bytes that are free, and bytes in all."""

    folder: str
    free: int
    total: int


class NoticesBackend(Protocol):
    """Part of `Backend`."""

    def ended_since(self, since: float, limit: int) -> list[RunSummary]:
        """Runs that completed, failed or stopped at or after a moment, the latest first."""

    def disk_room(self) -> DiskRoom | None:
        """Room on the disk of the data folder; None where it cannot be told."""
