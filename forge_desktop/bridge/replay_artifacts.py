"""The part of a replay about the second place: as the settings name it, with what a test lets go wrong."""

from __future__ import annotations

from engine.contract.api import Settings
from engine.contract.artifact_place import ArtifactsState
from engine.contract.errors import UserError


class ReplayArtifacts:
    """Copies nothing; a test changes the public fields."""

    kept: Settings

    def __init__(self) -> None:
        super().__init__()
        self.place_error: UserError | None = None
        """What is in the way once the place is tried."""
        self.place_waiting = 0
        self.place_checks = 0
        self._place_fails: UserError | None = None

    def _answer(self) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def artifacts(self, check: bool = False) -> ArtifactsState:
        """As the controller does: an error is known from the first try on."""
        self._answer()
        if not self.kept.artifact_place:
            return ArtifactsState()
        if check:
            self.place_checks += 1
            self._place_fails = self.place_error
        error = self._place_fails
        how = "failing" if error else "copying" if self.place_waiting else "whole"
        return ArtifactsState.model_validate({"place": self.kept.artifact_place, "state": how,
                                              "waiting": self.place_waiting,
                                              "error": error.body() if error else None})  # fmt: skip
