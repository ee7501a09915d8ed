"""The real controller's answers for comparing runs."""

from __future__ import annotations

from engine.client.client import ControllerClient
from engine.contract.api import Settings
from engine.contract.listing import RunPoints


class ControllerCompare:
    """Passes on what comparing asks for."""

    _client: ControllerClient

    def run_points(self) -> RunPoints:
        """Ended runs as points."""
        return self._client.points()  # type: ignore[attr-defined,no-any-return,unused-ignore]

    def price_list(self) -> Settings:
        """The controller's settings."""
        return self._client.settings()

    def attempt_config(self, uid: str, attempt: int) -> str:
        """The config of an attempt."""
        return self._client.config(uid, attempt)
