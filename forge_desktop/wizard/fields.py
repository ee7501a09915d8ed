"""Form fields made from the declarations of the run config: label, control, sentence, and the error beside it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QAbstractButton, QCheckBox, QGridLayout, QSizePolicy, QWidget

from engine.contract.data import DataSource
from engine.contract.setting import extra
from engine.contract.templates import template_titles
from forge_desktop.models.draft_advice import ADVISED, advice, warning
from forge_desktop.models.draft_model import DraftModel, groups
from forge_desktop.models.lacking import reasons
from forge_desktop.theme import icons
from forge_desktop.theme.controls import (
    Card,
    Choice,
    Elided,
    Field,
    Segments,
    button,
    column,
    label,
    restyle,
    row,
    set_enabled,
)
from forge_desktop.theme.language import count, problem_text, setting_label, setting_sentence, tr, word
from forge_desktop.theme.later import Later
from forge_desktop.theme.look import tokens

MAX_SEGMENTS, MAX_LETTERS = 4, 28
"""Of choices shown side by side; more, or longer ones, are a list."""
HIDDEN = {
    *("version", "kind", "model", "data", "tuner", "training", "evaluation", "objective", "head", "compute"),
    "outputs",
    *("limits", "train", "validation"),
}


class SettingField(QWidget):
    """One setting, bound to its path in the draft."""

    edited = Signal()
    left_out_changed = Signal()

    def __init__(self, draft: DraftModel, path: str, explain: Callable[[], str] | None = None) -> None:
        """`explain` says what the present value means, in place of the setting's sentence."""
        super().__init__()
        self._draft, self.path, self._writing, self._explain = draft, path, False, explain
        model, name = declared(path)
        self._field = model.model_fields[name]
        self._extra = extra(self._field)
        self.title = setting_label(model, name)
        self.sentence = setting_sentence(model, name)
        self._control, self._show = self._make_control()
        self._control.setObjectName(f"field.{path}")
        self._control.setAccessibleName(self.title)
        self._control.setAccessibleDescription(self.sentence)
        unit = self._extra.get("unit")
        heading = f"{self.title} ({word('unit', unit)})" if unit else self.title
        self._below = label(self.sentence, "hint", wrap=True)
        self._below.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._advice = label("", "hint", wrap=True)
        self._advice.setObjectName(f"advice.{path}")
        self._arrange(heading)
        self.refresh()
        draft.changed.connect(self._changed)
        draft.checked.connect(self._show_problems)
        if explain is not None or path in ADVISED:
            for news in (draft.inspected, draft.previewed, draft.seen):
                news.connect(self._show_problems)
        self._show_problems()

    def _arrange(self, _heading: str) -> None:
        """Hook: title, control and sentence, one below the other."""
        parts = [self._dressed(self._control), self._below, *([self._advice] if self.path in ADVISED else [])]
        if not isinstance(self._control, QCheckBox):
            parts.insert(0, label(_heading, "label"))
        self.setLayout(column(*parts, None, spacing=5))

    @property
    def is_left_out(self) -> bool:
        """Hook: nothing would come of it now, so a form does not show it."""
        return False

    def _dressed(self, control: QWidget) -> QWidget:
        """Hook: the control with something beside it."""
        return control

    def focus(self) -> None:
        """Take the keyboard."""
        focus_into(self._control)

    def _make_control(self) -> tuple[QWidget, Callable[[Any], object]]:
        annotation = self._field.annotation
        choices = self._extra.get("known") or _choices(annotation)
        if annotation is bool:
            box = QCheckBox(self.title)
            box.toggled.connect(self._write)
            self._limit_box(box)
            return box, lambda value: box.setChecked(bool(value))
        if choices and len(choices) <= MAX_SEGMENTS and sum(len(word("choice", one)) for one in choices) < MAX_LETTERS:
            return self._segments(choices)
        if choices:
            titles = template_titles() if self.path == "model.template" else {}
            made = Choice([(value, titles.get(value) or word("choice", value)) for value in choices])
            self._limit_choices(made, choices)
            made.activated.connect(lambda _place: self._write(made.value()))
            return made, lambda value: made.set_value(str(value))
        line = Field()
        empty = tr("empty") if _optional(annotation) else ""
        line.setPlaceholderText(empty)
        line.textEdited.connect(lambda text: self._write(read(text, annotation)))
        if self._extra.get("executable") == [None]:
            line.setEnabled(False)
            line.setToolTip(tr("This version cannot run it yet."))
        return line, lambda value: line.setText(written(value))

    def _segments(self, choices: list[str]) -> tuple[QWidget, Callable[[Any], object]]:
        made = Segments([(value, word("choice", value)) for value in choices], name=f"field.{self.path}")
        runnable = self._extra.get("executable")
        for value in choices:
            if runnable is not None and value not in runnable:
                made.button(value).setEnabled(False)
                made.button(value).setToolTip(tr("This version cannot run it yet."))
        made.chosen.connect(self._write)
        return made, lambda value: made.set_value(str(value))

    def _limit_choices(self, made: Choice, choices: list[str]) -> None:
        runnable = self._extra.get("executable")
        for value in choices:
            if runnable is not None and value not in runnable:
                made.removeItem(made.findData(value))

    def _limit_box(self, box: QCheckBox) -> None:
        runnable = self._extra.get("executable")
        if runnable is not None and len(runnable) == 1:
            box.setEnabled(False)
            box.setToolTip(tr("This version cannot run it yet."))

    @Slot(object)
    def _write(self, value: Any) -> None:
        self._writing = True  # what is being typed must not be written again under the cursor
        self._draft.set(self.path, value)
        self._writing = False
        self.edited.emit()

    @Slot(str)
    def _changed(self, _path: str) -> None:
        if not self._writing:
            self.refresh()

    def refresh(self) -> None:
        """Show the draft's value."""
        self._control.blockSignals(True)
        value = self._draft.get(self.path)
        if not (isinstance(self._control, Field) and read(self._control.text(), self._field.annotation) == value):
            self._show(value)
        self._control.blockSignals(False)

    def _grey(self) -> None:
        """What needs a package that is not where the run would work cannot be chosen, and says why."""
        runnable = self._extra.get("executable")
        for value, why in reasons(self.path, self._draft.missing):
            if runnable is not None and value not in runnable:
                continue
            if isinstance(self._control, Choice):
                self._control.tell(value, why, not why)
            elif isinstance(self._control, Segments):
                self._control.grey(value, why)
            elif not self._draft.get(self.path):  # what is ticked can be taken away
                set_enabled(self._control, not why, why)

    @Slot()
    def _show_problems(self) -> None:
        self._grey()
        if self.path in ADVISED:
            self._advice.setText(advice(self._draft, self.path))
            self._advice.setVisible(bool(self._advice.text()))
        problems = self._draft.problems_of(self.path)
        warning = self._warning()
        marked = self.path in self._draft.marks
        if problems:
            text, tone = problem_text(problems[0]), "bad"
        elif warning:
            text, tone = warning, "warn"
        elif marked:
            was = written(self._draft.marks[self.path]) or tr("empty")
            text, tone = tr("Changed by the diagnosis; it was {was}.", was=was), "accent"
        else:
            text, tone = (self._explain() if self._explain is not None else "") or self.sentence, ""
        self._below.setText(sign_of(tone) + text)
        self._below.setAccessibleName(text)
        self._below.setToolTip(self.sentence if text != self.sentence else "")
        restyle(self._below, tone=tone)
        restyle(self._control, tone=tone)

    def _warning(self) -> str:
        found = warning(self._draft, self.path)
        if found:
            return found
        usual = self._extra.get("usual")
        value = self._draft.get(self.path)
        if not usual or not isinstance(value, int | float) or isinstance(value, bool):
            return ""
        if usual[0] <= value <= usual[1]:
            return ""
        return tr("Unusual: most runs use {low} to {high}.", low=f"{usual[0]:g}", high=f"{usual[1]:g}")


def sign_of(tone: str) -> str:
    """A sign before a text, so that its meaning is not in its colour alone."""
    return {"bad": "✗ ", "warn": "⚠ "}.get(tone, "")


def focus_into(widget: QWidget) -> None:
    """Give the keyboard to a control, or to the chosen one of several."""
    inner = [made for made in widget.findChildren(QAbstractButton) if made.isEnabled()]
    if isinstance(widget, Segments) and inner:
        widget = next((made for made in inner if made.isChecked()), inner[0])
    widget.setFocus(Qt.FocusReason.ShortcutFocusReason)


Make = Callable[[DraftModel, str], SettingField]


class Form(QWidget):
    """Settings in two columns, one when the room is narrow; `special` makes some of them in another way."""

    def __init__(
        self, draft: DraftModel, paths: list[str], columns: int = 2, special: Mapping[str, Make] | None = None
    ) -> None:
        super().__init__()
        made, self._columns = special or {}, min(columns, max(1, len(paths)))
        self.fields = {path: made.get(path, SettingField)(draft, path) for path in paths}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(20)
        self._grid.setVerticalSpacing(14)
        self._shown: list[SettingField] = []
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._arrange)
        for field in self.fields.values():
            field.left_out_changed.connect(self._soon.start)
        self._arrange()
        for place in range(self._columns):
            self._grid.setColumnStretch(place, 1)

    @Slot()
    def _arrange(self) -> None:
        """The fields that are wanted in their order, without gaps."""
        shown = [field for field in self.fields.values() if not field.is_left_out]
        if shown == self._shown:
            return
        for field in self._shown:
            self._grid.removeWidget(field)
        for field in set(self.fields.values()) - set(shown):
            field.setParent(self)  # without one it would be a window some day
            field.hide()
        for place, field in enumerate(shown):
            self._grid.addWidget(field, place // self._columns, place % self._columns)
            if field.isHidden() and self._shown:
                field.show()
        self._shown = shown


class FoldedForm(Card):
    """Settings that few people touch, folded, with a count of those that were changed."""

    def __init__(
        self,
        draft: DraftModel,
        title: str,
        paths: list[str],
        name: str,
        about: Callable[[], str] | None = None,
        special: Mapping[str, Make] | None = None,
        counts: Callable[[str], bool] = lambda _path: True,
    ) -> None:
        """`about` says more beside the number of settings, `counts` which of them are of use now."""
        super().__init__(margins=(14, 8, 16, 10))
        self._about, self._counts = about, counts
        self._draft, self._paths = draft, paths
        marked = any(path in draft.marks for path in paths)
        picture = "chevron-down" if marked else "chevron-right"
        self._fold = button(title, "fold", picture, self._toggle, name=name)
        self._count = Elided("", "hint")
        self._reset = button(tr("Reset to preset"), "link", on_click=self._do_reset, name=f"{name}.reset")
        self._form = Later(lambda: Form(draft, paths, special=special))
        self._form.setVisible(False)
        head = row(self._fold, self._count, self._reset)
        head.setStretch(1, 1)
        self.body.addLayout(head)
        self.body.addWidget(self._form)
        if marked:
            self._form.made()
            self._form.setVisible(True)
        draft.changed.connect(self._refresh)
        draft.checked.connect(self._refresh)
        self._refresh()

    def open(self) -> None:
        """Unfold."""
        if not self._form.isVisibleTo(self):
            self._toggle()

    def owns(self, path: str) -> bool:
        """This setting is inside."""
        return path in self._paths

    def field(self, path: str) -> SettingField:
        """One of its fields."""
        return self._form.made().fields[path]

    def _toggle(self) -> None:
        shown = not self._form.isVisibleTo(self)
        self._form.made()
        self._form.setVisible(shown)
        self._fold.setAccessibleDescription(tr("open") if shown else tr("folded"))
        self._fold.setIcon(icons.icon("chevron-down" if shown else "chevron-right", tokens().secondary))

    @Slot()
    def _refresh(self) -> None:
        changed = sum(self._draft.get(path) != self._draft.default(path) for path in self._paths)
        broken = sum(bool(self._draft.problems_of(path)) for path in self._paths)
        parts = [count(sum(map(self._counts, self._paths)), "1 setting", "{n} settings")]
        if changed:
            parts.append(tr("{n} changed from preset", n=changed))
        if broken:
            parts.append(count(broken, "1 problem", "{n} problems"))
        elif self._about is not None:
            parts.append(self._about())
        self._count.set_text(" · ".join(filter(None, parts)))
        restyle(self._count, tone="bad" if broken else "")
        self._reset.setVisible(bool(changed))

    def _do_reset(self) -> None:
        for path in self._paths:
            self._draft.set(path, self._draft.default(path))


def declared(path: str) -> tuple[type[BaseModel], str]:
    """The group of settings a path belongs to, and its name there; each dataset of a list is a group of its own."""
    group, _, name = path.rpartition(".")
    return groups().get(group, DataSource), name


def paths_of(group: str, basic: bool) -> list[str]:
    """The basic or the advanced settings of a group, in the order they are declared."""
    at = f"{group}." if group else ""
    return [
        at + name
        for name, field in groups()[group].model_fields.items()
        if name not in HIDDEN and bool(extra(field).get("basic")) == basic and extra(field).get("executable") != [None]
    ]


def read(text: str, annotation: Any) -> Any:
    """What a typed text means: a number where it is one, nothing where that is allowed, else the text as it is."""
    text = text.strip()
    if not text and _optional(annotation):
        return None
    kinds = {annotation, *get_args(annotation)}
    if get_origin(annotation) is list:
        return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]
    if get_origin(annotation) is dict:
        return _pairs(text, get_args(annotation)[1])
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _pairs(text: str, values: Any) -> Any:
    """`name=value, name=value`; the text itself where it is no such list, for the checks to refuse."""
    found = {}
    for part in filter(str.strip, text.replace("，", ",").replace("＝", "=").split(",")):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            return text
        found[name.strip()] = _value(value.strip(), values)
    return found


def _value(text: str, values: Any) -> Any:
    """A number, yes or no where that is one of the kinds, else the text."""
    if bool in get_args(values) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def written(value: Any) -> str:
    """A value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={written(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 0.001 and _round(value) else f"{value:g}"
    return str(value)


def _round(value: float) -> bool:
    return float(f"{value:.0e}") == value


def _choices(annotation: Any) -> list[str]:
    return [str(value) for value in get_args(annotation)] if get_origin(annotation) is Literal else []


def _optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)
