"""A card of settings with its title, and the bar that says what is not saved yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFrame

from engine.contract.errors import ErrorBody
from forge_desktop.models.settings_entries import BY_KEY, Entry, Section
from forge_desktop.models.settings_model import SettingsModel
from forge_desktop.panels.settings_field import SettingLine
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, button, column, label, line, restyle, row, set_enabled
from forge_desktop.theme.language import count, explain, labelled, problem_text, sentences, tr
from forge_desktop.theme.look import tokens


class SettingsCard(Card):
    """Settings one below the other, divided by thin lines."""

    def __init__(self, model: SettingsModel, entries: Iterable[Entry], title: str = "") -> None:
        super().__init__(title, margins=(20, 16, 20, 18))
        self.body.setSpacing(14)
        self.lines: list[SettingLine] = []
        for entry in entries:
            if self.lines or title:
                self.body.addWidget(line())
            made = SettingLine(model, entry)
            self.lines.append(made)
            self.body.addWidget(made)


class SectionCard(Card):
    """A section that a search found by its title, and the way there."""

    def __init__(self, section: Section, go: Callable[[], object]) -> None:
        super().__init__(margins=(20, 14, 16, 14))
        picture = label()
        picture.setPixmap(icons.pixmap(section.icon, tokens().secondary, 20))
        words = column(
            label(tr(section.title), "card-title"), label(tr(section.sentence), "hint", wrap=True), spacing=2
        )
        there = button(tr("Open"), on_click=go, name="hint.action")
        layout = row(picture, spacing=14)
        layout.addLayout(words, 1)
        layout.addWidget(there)
        self.body.addLayout(layout)


class SaveBar(QFrame):
    """Says what is not saved, and saves it; hidden when all is."""

    def __init__(self, model: SettingsModel) -> None:
        super().__init__()
        self.setObjectName("settings.bar")
        self.setProperty("role", "card")
        self._model = model
        self._error: ErrorBody | None = None
        self._icon = label()
        self._text = label("", "strong", wrap=True)
        self._more = label("", "hint", wrap=True)
        self._more.setObjectName("settings.bar.problems")
        self.discard = button(tr("Discard"), on_click=self._discard, name="settings.discard")
        self.save = button(tr("Save"), "primary", "check", model.save, name="settings.save")
        layout = row(self._icon, self._text, self._more, self.discard, self.save, spacing=12, margins=(16, 10, 12, 10))
        layout.setStretch(2, 1)
        self.setLayout(layout)
        model.changed.connect(self._refresh)
        model.failed.connect(self._failed)
        self._refresh()

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error = error
        self._refresh()
        self._error = None

    def _discard(self) -> None:
        self._error = None
        self._model.discard()

    @Slot()
    def _refresh(self, _key: str = "") -> None:
        model = self._model
        problems = [p for p in model.problems() if p.field not in BY_KEY or BY_KEY[p.field].keeper == "controller"]
        self.setVisible(bool(model.edits))
        self._text.setText(count(len(model.edits), "1 change is not saved", "{n} changes are not saved"))
        said = [labelled(_name(p.field), problem_text(p)) for p in problems]
        if self._error is not None and not problems:
            said = [sentences(*explain(self._error))]
        self._more.setText("\n".join(said) or tr("Nothing holds before it is saved."))
        tone = "bad" if said else ""
        restyle(self._more, tone=tone)
        colour = tokens().bad_text if said else tokens().accent_text
        self._icon.setPixmap(icons.pixmap("circle-alert" if said else "pencil", colour, 18))
        self.save.setText(" " + (tr("Saving…") if model.saving else tr("Save")))
        set_enabled(self.save, not problems and not model.saving, tr("Correct what is marked first."))


def _name(field: str) -> str:
    entry = BY_KEY.get(field)
    return tr(entry.label) if entry is not None else field
