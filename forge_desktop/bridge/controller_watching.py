"""The real controller's way to a run that trains."""

from __future__ import annotations

from engine.client.client import ControllerClient


class ControllerWatching:
    """Passes on what is asked."""

    _client: ControllerClient

    def log_every(self, uid: str, steps: int) -> None:
        """Another interval between two points of the curve."""
        self._client.log_every(uid, steps)
