"""One setting as a line of a card: label and sentence on the left, its control on the right, what is wrong below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QCheckBox, QSizePolicy, QWidget

from forge_desktop.models.settings_entries import Entry
from forge_desktop.models.settings_model import SettingsModel, written
from forge_desktop.theme.controls import (
    Chip,
    Choice,
    Field,
    Segments,
    button,
    column,
    label,
    restyle,
    row,
    set_enabled,
)
from forge_desktop.theme.language import problem_text, tr, word

CONTROL_WIDTH = 352
UNIT_WIDTH = 58
OWN_NAMES = ("English", "简体中文")


class SettingLine(QWidget):
    """A setting, bound to its key in the model."""

    def __init__(self, model: SettingsModel, entry: Entry) -> None:
        super().__init__()
        self.setObjectName(f"settings.line.{entry.key}")
        self._model, self.entry, self._writing = model, entry, False
        self._title = label(tr(entry.label), "strong", wrap=True)
        self._sentence = label(tr(entry.sentence), "hint", wrap=True)
        self._changed = Chip(tr("Changed"), "accent")
        self._reset = button(tr("Reset"), "link", on_click=lambda: model.reset(entry.key), name=f"reset.{entry.key}")
        self._reset.setAccessibleName(tr("Reset {setting}", setting=tr(entry.label)))
        self._reset.setToolTip(tr("Usual: {value}", value=self._usual()))
        self._note = label("", "hint", wrap=True)
        self._control, self._show = self._make_control()
        self._control.setObjectName(f"setting.{entry.key}")
        self._control.setAccessibleName(tr(entry.label))
        self._control.setAccessibleDescription(tr(entry.sentence))
        self._arrange()
        self.refresh()
        model.changed.connect(self._refresh_for)

    def _arrange(self) -> None:
        head = row(self._title, self._changed, self._reset, None, spacing=8)
        self._title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        left = column(spacing=2)
        left.addLayout(head)
        left.addWidget(self._sentence)
        holder = QWidget()
        holder.setFixedWidth(CONTROL_WIDTH)
        control = row(self._control, spacing=8)
        if self.entry.unit:
            unit = label(word("unit", self.entry.unit), "hint")
            unit.setMinimumWidth(UNIT_WIDTH)  # so that fields end at one line
            control.addWidget(unit)
        if isinstance(self._control, QCheckBox | Segments):
            control.insertStretch(0, 1)
        right = column(spacing=4)
        right.addLayout(control)
        right.addWidget(self._note)
        holder.setLayout(right)
        layout = row(spacing=24)
        layout.addLayout(left, 1)
        layout.addWidget(holder)
        self.setLayout(layout)

    def _make_control(self) -> tuple[QWidget, Callable[[Any], object]]:
        entry = self.entry
        choices = [(key, choice_text(text)) for key, text in entry.choices]
        if entry.kind == "switch":
            box = QCheckBox(tr("On"))
            box.toggled.connect(self._write)
            return box, lambda value: box.setChecked(bool(value))
        if entry.kind == "segments":
            made = Segments(choices, name=f"setting.{entry.key}")
            made.chosen.connect(self._write)
            return made, lambda value: made.set_value(str(value))
        if entry.kind == "choice":
            listed = Choice(choices)
            listed.activated.connect(lambda _place: self._write(listed.value()))
            return listed, lambda value: listed.set_value(str(value))
        line = Field(hint=self._hint())
        line.textEdited.connect(self._write)
        return line, lambda value: line.setText(written(value))

    def _hint(self) -> str:
        empty = self.entry.empty
        return empty if empty.startswith("http") or empty.isdigit() else tr(empty) if empty else ""

    def _usual(self) -> str:
        entry = self.entry
        if entry.kind == "switch":
            return tr("on") if entry.default else tr("off")
        if entry.choices:
            return choice_text(dict(entry.choices)[str(entry.default)])
        value = written(entry.default) or self._hint()
        return f"{value} {word('unit', entry.unit)}" if entry.unit and entry.default is not None else value

    @Slot(object)
    def _write(self, value: Any) -> None:
        self._writing = True  # what is being typed must not be written again under the cursor
        self._model.set(self.entry.key, value)
        self._writing = False
        self.refresh()

    @Slot(str)
    def _refresh_for(self, key: str) -> None:
        if key in ("", self.entry.key):
            self.refresh()
        else:
            self._say()

    def refresh(self) -> None:
        """Show what the model says."""
        value = self._model.value(self.entry)
        if not (self._writing or (self._control.hasFocus() and self._is_shown(value))):
            self._control.blockSignals(True)
            self._show(value)
            self._control.blockSignals(False)
        ready = self._model.ready(self.entry)
        set_enabled(self._control, ready, tr("The job controller does not answer; it keeps this setting."))
        usual = self._model.is_default(self.entry)
        self._changed.setVisible(not usual)
        self._reset.setVisible(not usual and ready)
        self._say()

    def _is_shown(self, value: Any) -> bool:
        return isinstance(self._control, Field) and self._control.text() == written(value)

    def _say(self) -> None:
        problem = self._model.problem(self.entry.key)
        edited = self.entry.key in self._model.edits
        text, tone = "", ""
        if problem is not None:
            text, tone = problem_text(problem), "bad"
        elif self.entry.later and not self._model.is_default(self.entry):
            text = tr("Holds from the next start on.")
        elif edited:
            held = written(self._model.held(self.entry)) or self._hint() or tr("empty")
            text, tone = tr("Not saved yet; it is {value} now.", value=self._spoken(held)), "accent"
        self._note.setText(text)
        self._note.setVisible(bool(text))
        restyle(self._note, tone=tone)
        restyle(self._control, tone="bad" if tone == "bad" else "")

    def _spoken(self, held: str) -> str:
        """A value in the words of its control."""
        if self.entry.kind == "switch":
            return tr("on") if held == "True" else tr("off")
        return next((choice_text(text) for key, text in self.entry.choices if key == held), held)


def choice_text(text: str) -> str:
    """A choice in the language shown; names of languages and numbers are the same in all."""
    return text if text in OWN_NAMES or text[0].isdigit() else tr(text)
