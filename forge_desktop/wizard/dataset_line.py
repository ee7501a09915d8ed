"""One dataset of a run in the wizard: where it lies, its form and why, its rows, how much is taken of it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QWidget

from engine.contract.data import READABLE_FORMATS
from forge_desktop.models.draft_mix import share_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.draft_queries import Look
from forge_desktop.theme.controls import Chip, Choice, Elided, Field, button, column, label, restyle, row
from forge_desktop.theme.language import count, explain, labelled, problem_text, sentences, tr, word
from forge_desktop.wizard.facts_card import reason_text
from forge_desktop.wizard.fields import SettingField, sign_of
from forge_desktop.wizard.places import short

TAKEN = ("weight", "limit")


class DatasetLine(QWidget):
    """Follows the draft; it is made anew only when another dataset stands at its place."""

    def __init__(self, draft: DraftModel, place: int, source: dict[str, Any]) -> None:
        super().__init__()
        self._draft, self._place = draft, place
        path = str(source["path"])
        name = Elided(tr("Bundled demo data") if source["hub"] == "bundled" else short(path), "strong")
        name.setToolTip(path)
        self._chip = Chip()
        self._form = Choice([(key, word("choice", key)) for key in READABLE_FORMATS])
        self._form.setObjectName(f"wizard.data.{place}.format")
        self._form.setAccessibleName(tr("Format of {name}", name=short(path)))
        self._form.setMinimumContentsLength(12)
        self._form.activated.connect(lambda _index: draft.set_source(place, "format", self._form.value()))
        gone = button("", "quiet", "x", lambda: draft.remove_data(place), f"wizard.data.{place}.remove", tr("Remove"))
        gone.setAccessibleName(tr("Remove {name}", name=short(path)))
        gone.setFixedWidth(36)
        head = row(name, self._chip, self._form, gone, spacing=10)
        head.setStretch(0, 1)
        self._about = label("", "hint", wrap=True)
        self._fields = [_TakenField(draft, place, key, short(path)) for key in TAKEN]
        self._comes_to = label("", "hint", wrap=True)
        self._comes_to.setObjectName(f"wizard.data.{place}.rows")
        taken = row(*self._fields, self._comes_to, spacing=14)
        taken.setStretch(len(TAKEN), 1)
        layout = column(spacing=6)
        layout.addLayout(head)
        layout.addWidget(self._about)
        layout.addLayout(taken)
        self.setLayout(layout)
        for news in (draft.changed, draft.checked, draft.previewed, draft.seen):
            news.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self, *_news: object) -> None:
        """Show what is known now."""
        draft, place = self._draft, self._place
        if place >= len(draft.get("data.train")):
            return  # it is about to go
        look = draft.looks[place] if place < len(draft.looks) else Look()
        self._chip.set(*_chip(look))
        self._form.set_value(str(draft.get(f"data.train.{place}.format")))
        text, tone = _said(draft, place, look)
        self._about.setText(sign_of(tone) + text)
        restyle(self._about, tone=tone)
        text, tone = self._taken()
        self._comes_to.setText(sign_of(tone) + text)
        restyle(self._comes_to, tone=tone)

    def _taken(self) -> tuple[str, str]:
        """What weight and limit come to, or what is wrong with them."""
        for field in self._fields:
            wrong = self._draft.problems_of(field.path)
            if wrong:
                return labelled(field.title, problem_text(wrong[0])), "bad"
        share = share_of(self._draft, self._place)
        if share is None:
            return "", ""
        if share.at_least:
            return tr("at least {n} rows an epoch", n=f"{share.rows:,}"), ""
        return count(share.rows, "about 1 row an epoch", "about {n} rows an epoch"), ""


class _TakenField(SettingField):
    """Weight or limit of a dataset, in one line; the line says what it comes to and what is wrong with it."""

    def __init__(self, draft: DraftModel, place: int, key: str, dataset: str) -> None:
        self._place = place
        super().__init__(draft, f"data.train.{place}.{key}")
        self._control.setAccessibleName(tr("{setting} of {name}", setting=self.title, name=dataset))
        self._control.setToolTip(self.sentence)

    def _arrange(self, _heading: str) -> None:
        self._control.setFixedWidth(84)
        if isinstance(self._control, Field):
            self._control.setAlignment(Qt.AlignmentFlag.AlignRight)
            if self.path.endswith("limit"):
                self._control.setPlaceholderText(tr("all"))
        beside = label(self.title, "label")
        beside.setBuddy(self._control)
        self.setLayout(row(beside, self._control, self._below, spacing=8))
        self._below.hide()

    def refresh(self) -> None:
        """Show the draft's value, unless the dataset was just taken out."""
        if self._place < len(self._draft.get("data.train")):
            super().refresh()

    @Slot()
    def _show_problems(self) -> None:
        if self._place < len(self._draft.get("data.train")):
            super()._show_problems()


def _chip(look: Look) -> tuple[str, str, str]:
    rows, problems = look.facts.get("rows"), look.facts.get("problems") or []
    if look.busy:
        return tr("Reading…"), "plain", "loader-circle"
    if look.error is not None:
        return tr("Cannot be read"), "bad", "circle-alert"
    if problems:
        return tr("{n} problems", n=look.facts.get("bad_rows") or len(problems)), "bad", "circle-alert"
    if isinstance(rows, int):
        more = "" if look.facts.get("complete", True) else "+"
        return tr("{n} rows", n=f"{rows:,}{more}"), "ok", "check"
    return tr("Not read yet"), "plain", "hourglass"


def _said(draft: DraftModel, place: int, look: Look) -> tuple[str, str]:
    wrong = draft.problems_of(f"data.train.{place}.path")
    if look.error is not None:
        return sentences(*explain(look.error)), "bad"
    if wrong:
        return problem_text(wrong[0]), "bad"
    error = draft.seen_error_of(f"data.train.{place}") if place else None
    if error is not None:  # of the first it stands above its rows
        return sentences(*explain(error)), "warn"
    form = str(look.facts.get("format") or "")
    columns = ", ".join(str(name) for name in look.facts.get("columns", [])[:6])
    parts = [word("choice", form) if form else "", reason_text(look.facts.get("reason"))]
    if columns:
        parts.append(tr("columns: {columns}", columns=columns))
    return " · ".join(part for part in parts if part) or tr("Its form is found when its rows are read."), ""
