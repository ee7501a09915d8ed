"""The real controller's answers for comparing runs."""

from __future__ import annotations

from engine.client.client import ControllerClient


class ControllerCompare:
    """Passes on what comparing asks for."""

    _client: ControllerClient

    def attempt_config(self, uid: str, attempt: int) -> str:
        """The config of an attempt."""
        return self._client.config(uid, attempt)
