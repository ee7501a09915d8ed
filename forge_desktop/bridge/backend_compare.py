"""What comparing runs asks of a controller: every ended run as a point, prices, and the config of each attempt."""

from __future__ import annotations

from typing import Protocol

from engine.contract.api import Settings
from engine.contract.listing import RunPoints


class CompareBackend(Protocol):
    """The part of a backend behind the Compare page. Calls block and raise UserError."""

    def run_points(self) -> RunPoints:
        """Ended runs as points of a picture."""

    def price_list(self) -> Settings:
        """The controller's settings, for the prices of its slots and their currency."""

    def attempt_config(self, uid: str, attempt: int) -> str:
        """The config an attempt was started with, as YAML; raises NotFound when its files are gone."""
