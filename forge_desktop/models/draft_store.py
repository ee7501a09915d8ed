"""Unfinished drafts of the wizard, kept on this computer while they are typed; several at a time."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.ids import new_id
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.draft_document import Document, usable

STORED = "drafts"
OF_OLD = "draft"
"""Where earlier versions kept their only draft."""
ADDRESS = "draft-"
"""`new/draft-<id>` opens one."""


@dataclass(frozen=True)
class Kept:
    """One unfinished draft."""

    id: str
    document: Document
    preset: str
    changed: float

    @property
    def title(self) -> str:
        """Its name, or what it is made of."""
        return str(self.document["name"] or self.document["model"]["path"] or "")


class DraftStore(QObject):
    """Drafts by id, newest first. `saved` comes when what was kept last is on the disk."""

    saved = Signal(float)
    """When."""
    not_saved = Signal()

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        preferences.written.connect(self._written)
        preferences.not_written.connect(self.not_saved)
        self._take_over()

    def all(self) -> list[Kept]:
        """Newest first; those of another version's form are left out, not deleted."""
        found = [_read(uid, entry) for uid, entry in self._stored().items()]
        return sorted((one for one in found if one is not None), key=lambda one: -one.changed)

    def find(self, uid: str) -> Kept | None:
        """One of them."""
        return next((one for one in self.all() if one.id == uid), None)

    def keep(self, uid: str, document: Document, preset: str) -> None:
        """Remember how a draft stands now."""
        entry = {"document": copy.deepcopy(document), "preset": preset, "changed": time.time()}
        self._preferences.set(STORED, {**self._stored(), uid: entry})

    def forget(self, uid: str) -> None:
        """It was started, saved elsewhere, or given up."""
        self._preferences.set(STORED, {one: entry for one, entry in self._stored().items() if one != uid})

    def _stored(self) -> dict[str, Any]:
        stored = self._preferences.get(STORED, {})
        return (
            {uid: entry for uid, entry in stored.items() if isinstance(entry, dict)} if isinstance(stored, dict) else {}
        )

    def _take_over(self) -> None:
        document = usable(self._preferences.get(OF_OLD))
        if document is not None:
            self._preferences.set(OF_OLD, None)
            self.keep(new_id(), document, "balanced")

    @Slot()
    def _written(self) -> None:
        self.saved.emit(time.time())


def _read(uid: str, entry: dict[str, Any]) -> Kept | None:
    document, changed = usable(entry.get("document")), entry.get("changed")
    if document is None or not isinstance(changed, int | float):
        return None
    return Kept(uid, document, str(entry.get("preset") or "balanced"), float(changed))
