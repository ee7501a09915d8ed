"""What a run's config tab and comparing runs ask of a controller beside the list of runs."""

from __future__ import annotations

from typing import Protocol


class CompareBackend(Protocol):
    """Part of a backend. Calls block and raise UserError."""

    def attempt_config(self, uid: str, attempt: int) -> str:
        """The config an attempt was started with, as YAML; raises NotFound when its files are gone."""
