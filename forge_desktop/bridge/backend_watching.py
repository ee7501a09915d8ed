"""What is asked of a run while it trains, beside saving and answering."""

from __future__ import annotations

from typing import Protocol


class WatchingBackend(Protocol):
    """Part of a backend. Calls block and raise UserError."""

    def log_every(self, uid: str, steps: int) -> None:
        """Another interval between two points of the curve."""
