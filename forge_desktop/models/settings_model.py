"""The settings as they stand, and what a person has typed: preferences hold at once, the controller's when saved."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.api import Settings
from engine.contract.errors import ErrorBody, Problem
from engine.contract.settings_check import problems_of
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.settings_entries import BY_KEY, ENTRIES, Entry

KEPT_EDITS = "settings.edits"
TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")


class SettingsModel(QObject):
    """Follows the controller's settings; `edits` are what is not saved yet."""

    changed = Signal(str)
    """Key of a setting that looks different now; empty: any may."""
    failed = Signal(object)
    """ErrorBody of settings that could not be fetched or saved."""
    saved = Signal()
    preference_changed = Signal(str)

    def __init__(self, session: Session, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._preferences = session, preferences
        self.stored: Settings | None = None
        self.saving = False
        kept = preferences.get(KEPT_EDITS, {})
        self.edits: dict[str, Any] = {k: v for k, v in kept.items() if k in BY_KEY} if isinstance(kept, dict) else {}
        self._unheard: dict[str, str] = {}
        """Preferences that were typed and cannot hold."""
        self._wrong: dict[str, Problem] = {}
        self._refused: dict[str, Problem] = {}
        session.settings_changed.connect(self._heard)
        session.online.connect(self.fetch)
        session.offline.connect(self._away)
        self._check()

    @Slot()
    def fetch(self) -> None:
        """Ask the controller for its settings."""
        self._session.ask(lambda backend: backend.settings(), self._told, self.failed.emit, owner=self)

    def ready(self, entry: Entry) -> bool:
        """Whether the setting can be shown and changed."""
        return entry.keeper == "desktop" or (self.stored is not None and self._session.is_online)

    def value(self, entry: Entry) -> Any:
        """What holds, or what was typed instead."""
        for typed in (self.edits, self._unheard):
            if entry.key in typed:
                return typed[entry.key]
        return self.held(entry)

    def held(self, entry: Entry) -> Any:
        """What holds."""
        if entry.keeper == "desktop":
            return self._preferences.get(entry.key, entry.default)
        if self.stored is None:
            return entry.default
        name, _, inner = entry.key.partition(".")
        found = getattr(self.stored, name)
        return (found or {}).get(inner) if inner else found

    def set(self, key: str, value: Any) -> None:
        """What a person chose or typed (typed numbers come as text)."""
        entry = BY_KEY[key]
        self._refused.pop(key, None)
        wrong = _time_problem(entry, value)
        self._wrong.pop(key, None)
        self._unheard.pop(key, None)
        if wrong is not None:
            self._wrong[key], self._unheard[key] = wrong, str(value)
        elif entry.keeper == "desktop":
            if value != self.held(entry):
                self._preferences.set(key, value)
                self.preference_changed.emit(key)
        elif not self.saving and read(entry, value) == self.held(entry):  # else what is held is about to change
            self.edits.pop(key, None)
        else:
            self.edits[key] = value
        self._check()
        self._keep()
        self.changed.emit(key)

    def reset(self, key: str) -> None:
        """Back to what it usually is."""
        self.set(key, BY_KEY[key].default)

    def is_default(self, entry: Entry) -> bool:
        """Whether it is what it usually is."""
        value = read(entry, self.value(entry))
        return bool(value == entry.default or (value in (None, "") and entry.default in (None, "")))

    def problem(self, key: str) -> Problem | None:
        """What is wrong with it, if anything."""
        return self._wrong.get(key) or self._refused.get(key)

    def problems(self) -> list[Problem]:
        """Everything that stands in the way of saving."""
        return [*self._wrong.values(), *(p for key, p in self._refused.items() if key not in self._wrong)]

    def discard(self) -> None:
        """Forget what was typed."""
        self.edits.clear()
        self._refused.clear()
        self._check()
        self._keep()
        self.changed.emit("")

    def save(self) -> None:
        """Have the controller take all edits, or none."""
        if self.saving or not self.edits or self.problems():
            return
        self.saving = True
        changes, sent = self.changes(), dict(self.edits)
        self._session.ask(
            lambda backend: backend.change_settings(changes), lambda kept: self._taken(kept, sent), self._refuse,
            owner=self,
        )  # fmt: skip
        self.changed.emit("")

    def write(self, key: str, value: Any) -> None:
        """Change one setting of the controller now, apart from what is being typed."""
        self._session.ask(
            lambda backend: backend.change_settings({key: value}), self._told, self.failed.emit, owner=self
        )

    def changes(self) -> dict[str, Any]:
        """The edits in the form the controller takes; what is inside a setting is sent whole."""
        sent: dict[str, Any] = {}
        for key, typed in self.edits.items():
            entry = BY_KEY[key]
            name, _, inner = key.partition(".")
            value = read(entry, typed)
            if not inner:
                sent[name] = value
                continue
            whole = sent.setdefault(name, dict(getattr(self.stored, name, None) or {}))
            if value in (None, ""):
                whole.pop(inner, None)
            else:
                whole[inner] = value
        return {name: (None if name == "slots" and not value else value) for name, value in sent.items()}

    @Slot(object)
    def _heard(self, settings: Settings) -> None:
        """The stream tells of a change. It may be an older one than the last answer, so what is typed stays typed."""
        self.stored = settings
        self._check()
        self._keep()
        self.changed.emit("")

    @Slot(object)
    def _told(self, settings: Settings) -> None:
        self.stored = settings
        self.edits = {key: typed for key, typed in self.edits.items() if read(BY_KEY[key], typed) != self._held(key)}
        self._check()
        self._keep()
        self.changed.emit("")

    @Slot(object)
    def _away(self, _error: ErrorBody) -> None:
        self.changed.emit("")

    def _held(self, key: str) -> Any:
        return self.held(BY_KEY[key])

    def _taken(self, settings: Settings, sent: dict[str, Any]) -> None:
        self.saving = False
        self.edits = {key: typed for key, typed in self.edits.items() if key not in sent or sent[key] != typed}
        self._refused.clear()
        self._told(settings)
        self.saved.emit()

    def _refuse(self, error: ErrorBody) -> None:
        self.saving = False
        self._refused = {problem.field: problem for problem in error.problems}
        self.changed.emit("")
        self.failed.emit(error)

    def _check(self) -> None:
        """Look at what was typed, as the controller will."""
        self._wrong = {key: wrong for key, wrong in self._wrong.items() if BY_KEY[key].keeper == "desktop"}
        for problem in problems_of((self.stored or Settings()).model_dump() | self.changes()):
            self._wrong[problem.field] = problem
        for key in self.edits:
            entry = BY_KEY[key]
            if entry.kind == "number" and not entry.empty and self.edits[key] == "":
                self._wrong[key] = Problem(code="settings.number", field=key, params={"value": ""})

    def _keep(self) -> None:
        if self.edits != self._preferences.get(KEPT_EDITS, {}):
            self._preferences.set(KEPT_EDITS, dict(self.edits))


def read(entry: Entry, typed: Any) -> Any:
    """A typed text as the value it stands for; a text that is no number stays a text, which is then refused."""
    if not isinstance(typed, str):
        return typed
    text = typed.strip()
    if entry.kind == "number":
        if not text:
            return None
        with contextlib.suppress(ValueError):
            return int(text) if entry.whole else float(text)
        return text
    return None if not text and entry.default is None else text


def written(value: Any) -> str:
    """A value as a field shows it."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def found(words: str, texts: dict[str, str]) -> list[Entry]:
    """Settings whose texts hold every word; `texts` maps key to label, sentence and section in the language shown."""
    wanted = words.lower().split()
    return [entry for entry in ENTRIES if all(word in texts[entry.key].lower() for word in wanted)]


def _time_problem(entry: Entry, value: Any) -> Problem | None:
    if entry.kind != "time" or not value or TIME.fullmatch(str(value).strip()):
        return None
    return Problem(code="settings.time", field=entry.key, params={"value": str(value)})
