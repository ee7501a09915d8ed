"""Moving all data to another folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MoveStep = Literal["pausing", "stopping", "copying", "verifying", "switching", "starting", "resuming", "done"]
MOVE_STEPS: tuple[MoveStep, ...] = (
    "pausing", "stopping", "copying", "verifying", "switching", "starting", "resuming", "done"
)  # fmt: skip


@dataclass(frozen=True)
class MoveProgress:
    """How far a move is."""

    step: MoveStep
    done: int = 0
    total: int = 0
    """Bytes, where the step has any."""
