"""Models and datasets a person used lately, newest first."""

from __future__ import annotations

from typing import Any

from forge_desktop.bridge.preferences import Preferences

MOST = 8
Place = tuple[str, str]
"""Path and hub."""


class Recents:
    """Keeps them among the preferences."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def models(self) -> list[Place]:
        """Base models."""
        return self._get("recent_models")

    def datasets(self) -> list[Place]:
        """Training datasets."""
        return self._get("recent_datasets")

    def note(self, document: dict[str, Any]) -> None:
        """A run was made of this."""
        model = document["model"]
        self._add("recent_models", [(model["path"], model["hub"])])
        self._add("recent_datasets", [(source["path"], source["hub"]) for source in document["data"]["train"]])

    def _get(self, name: str) -> list[Place]:
        stored = self._preferences.get(name, [])
        return [(str(pair[0]), str(pair[1])) for pair in stored if isinstance(pair, list) and len(pair) == 2]

    def _add(self, name: str, places: list[Place]) -> None:
        new = [place for place in places if place[0] and place[1] != "bundled"]
        kept = [*new, *(place for place in self._get(name) if place not in new)]
        self._preferences.set(name, [list(place) for place in kept[:MOST]])
