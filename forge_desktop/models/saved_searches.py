"""Searches a person keeps under a name, in the preferences."""

from __future__ import annotations

from dataclasses import asdict

from PySide6.QtCore import QObject, Signal

from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.runs_model import FILTERS, Question

PREFERENCE = "runs.saved"
PRESENT = "runs.question"


class SavedSearches(QObject):
    """Names and questions, in the order they were saved."""

    changed = Signal()

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        kept = preferences.get(PREFERENCE)
        self._saved: dict[str, Question] = {}
        for name, value in kept.items() if isinstance(kept, dict) else ():
            question = question_of(value)
            if question is not None:
                self._saved[str(name)] = question

    @property
    def names(self) -> list[str]:
        """Every name."""
        return list(self._saved)

    def question(self, name: str) -> Question | None:
        """What was saved under a name."""
        return self._saved.get(name)

    def save(self, name: str, question: Question) -> None:
        """Keep it, in place of one with the same name."""
        self._saved[name] = question
        self._keep()

    def rename(self, name: str, other: str) -> bool:
        """Another name; not one that is taken."""
        if not other or other in self._saved or name not in self._saved:
            return False
        self._saved = {(other if key == name else key): question for key, question in self._saved.items()}
        self._keep()
        return True

    def delete(self, name: str) -> None:
        """Forget it."""
        if self._saved.pop(name, None) is not None:
            self._keep()

    def _keep(self) -> None:
        self._preferences.set(PREFERENCE, {name: asdict(question) for name, question in self._saved.items()})
        self.changed.emit()


def question_of(value: object) -> Question | None:
    """A question as it was kept; None if that is none."""
    match value:
        case {"filter": str(name), "search": str(text), "sort": str(sort), "descending": bool(down)} if name in FILTERS:
            return Question(name, text, sort, down)
    return None
