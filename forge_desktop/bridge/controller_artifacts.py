"""The real controller's answers about the second place."""

from __future__ import annotations

from engine.client.client import ControllerClient
from engine.contract.artifact_place import ArtifactsState


class ControllerArtifacts:
    """Passes the question on."""

    _client: ControllerClient

    def artifacts(self, check: bool = False) -> ArtifactsState:
        """Whether what runs made lies there; `check` tries the place with a small file."""
        return self._client.artifacts(check)
