"""What the Settings page asks about the second place of checkpoints and results."""

from __future__ import annotations

from typing import Protocol

from engine.contract.artifact_place import ArtifactsState


class ArtifactsBackend(Protocol):
    """The part of a backend about the second place. Calls block and raise UserError."""

    def artifacts(self, check: bool = False) -> ArtifactsState:
        """Whether what runs made lies there; `check` tries the place with a small file."""
