"""Recipes to start from: those that ship with the program, and a person's own templates."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from PySide6.QtCore import QObject, Signal

from engine.contract.ids import new_id
from engine.contract.paths import resources_folder
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.draft_document import Document, at, blank_document, groups

BUNDLED = ("quick", "balanced", "thorough")
RECIPE = ("tuner", "training", "checkpoints", "evaluation", "guards", "stopping")
ALSO = ("data.max_length", "data.validation_share")
OWN_TO_A_RUN = {"tuner.targets", "training.seed", "training.threads", "evaluation.data"}
"""Belong to the model, the rows or the computer, so no recipe touches them."""
STORED = "templates"


@dataclass(frozen=True)
class Preset:
    """A recipe: what differs from the program's defaults."""

    id: str
    settings: dict[str, Any]
    name: str = ""
    """Of a person's own; those that ship are named by their id."""

    def value(self, path: str) -> Any:
        """What it makes of a setting of the recipe."""
        return self.settings[path] if path in self.settings else at(_defaults(), path)

    @property
    def own(self) -> bool:
        """A person made it."""
        return bool(self.name)


@lru_cache(maxsize=1)
def _defaults() -> Document:
    return blank_document()


@lru_cache(maxsize=1)
def scope() -> tuple[str, ...]:
    """The settings a recipe decides, by path."""
    known = groups()
    paths = [f"{group}.{name}" for group in RECIPE for name in known[group].model_fields]
    return (*(path for path in paths if path not in OWN_TO_A_RUN), *ALSO)


@lru_cache(maxsize=1)
def bundled_presets() -> dict[str, Preset]:
    """Those that ship, by id."""
    found = {}
    for name in BUNDLED:
        content = yaml.safe_load((resources_folder() / "presets" / f"{name}.yaml").read_text(encoding="utf-8"))
        found[name] = Preset(content["id"], content["settings"])
    return found


def recipe_of(document: Document) -> dict[str, Any]:
    """What a document's recipe has other than the defaults."""
    return {path: copy.deepcopy(at(document, path)) for path in scope() if at(document, path) != at(_defaults(), path)}


class Presets(QObject):
    """All presets: the bundled ones first, then the person's own by name."""

    changed = Signal()

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences

    def own(self) -> list[Preset]:
        """The person's own, by name; what another version wrote and this one does not know is left out."""
        stored = self._preferences.get(STORED, [])
        found = [_read(entry) for entry in stored] if isinstance(stored, list) else []
        return sorted((preset for preset in found if preset is not None), key=lambda preset: preset.name.lower())

    def find(self, wanted: str) -> Preset | None:
        """By id."""
        return bundled_presets().get(wanted) or next((one for one in self.own() if one.id == wanted), None)

    def save(self, name: str, document: Document) -> Preset:
        """Keep a document's recipe under a name; one of that name is replaced."""
        return self.add(name, recipe_of(document))

    def add(self, name: str, settings: dict[str, Any]) -> Preset:
        """Keep a recipe under a name; one of that name is replaced."""
        known = next((one for one in self.own() if one.name == name), None)
        made = Preset(known.id if known else new_id(), settings, name)
        self._store([*(one for one in self.own() if one.id != made.id), made])
        return made

    def rename(self, wanted: str, name: str) -> None:
        """Another name."""
        self._store([Preset(one.id, one.settings, name) if one.id == wanted else one for one in self.own()])

    def delete(self, wanted: str) -> None:
        """Forget one."""
        self._store([one for one in self.own() if one.id != wanted])

    def _store(self, presets: list[Preset]) -> None:
        self._preferences.set(STORED, [{"id": one.id, "name": one.name, "settings": one.settings} for one in presets])
        self.changed.emit()


def _read(entry: Any) -> Preset | None:
    match entry:
        case {"id": str(uid), "name": str(name), "settings": dict(settings)} if uid and name:
            return Preset(uid, {path: value for path, value in settings.items() if path in scope()}, name)
        case _:
            return None
