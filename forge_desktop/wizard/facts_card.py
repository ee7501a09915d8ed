"""What is known of the base model: from its own files, or from the catalogue before it is downloaded."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.catalogue import Listed
from engine.contract.errors import Problem
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.draft_teacher import HERE
from forge_desktop.theme.controls import Card, button, clear, label, row
from forge_desktop.theme.language import explain, note_text, problem_text, sentences, tr, word
from forge_desktop.theme.measures import count_of, size
from forge_desktop.wizard.fields import sign_of

Lines = list[tuple[str, str, str]]
NO_WORKER = ("worker.no_environment", "environment.import")


class FactsCard(Card):
    """Follows the draft."""

    navigate = Signal(str)

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(tr("What it is"))
        self._draft = draft
        self._lines = QVBoxLayout()
        self._lines.setSpacing(8)
        self.body.addLayout(self._lines)
        draft.inspected.connect(self._refresh)
        draft.changed.connect(self._changed)
        self._refresh()

    @Slot(str)
    def _changed(self, path: str) -> None:
        if path in ("", "model.path", "model.hub"):
            self._refresh()

    @Slot()
    def _refresh(self) -> None:
        clear(self._lines)
        draft, facts, listed = self._draft, self._draft.model_facts, self._draft.listed
        if draft.inspecting:
            self._lines.addWidget(label(tr("Reading the model's config…"), "hint"))
        elif draft.model_error is not None:
            if listed is not None:  # the hub did not answer; what the catalogue says holds all the same
                for name, value, reason in listed_lines(listed):
                    self._lines.addWidget(fact(name, value, reason))
            self._show_error()
        elif facts:
            for name, value, reason in fact_lines(facts):
                self._lines.addWidget(fact(name, value, reason))
            for problem in facts.get("problems", []):
                text = sign_of("bad") + problem_text(Problem.model_validate(problem))
                self._lines.addWidget(label(text, "hint", tone="bad", wrap=True))
        elif listed is not None:
            for name, value, reason in listed_lines(listed):
                self._lines.addWidget(fact(name, value, reason))
        elif draft.get("model.path") and draft.get("model.hub") not in HERE:
            text = tr("Leave the field to have a look at it.")
            self._lines.addWidget(label(text, "hint", wrap=True))
        else:
            self._lines.addWidget(label(tr("Choose a model to see what it is."), "hint"))

    def _show_error(self) -> None:
        error = self._draft.model_error
        if error is None:
            return
        self._lines.addWidget(label(sign_of("bad") + sentences(*explain(error)), "hint", tone="bad", wrap=True))
        again = button(tr("Try again"), "default", "refresh-cw", self._draft.inspect, name="wizard.model.again")
        line = row(again, spacing=8)
        if error.code in NO_WORKER:
            made = button(tr("Set up a worker"), "primary", name="wizard.model.worker")
            made.clicked.connect(lambda: self.navigate.emit("settings/workers"))
            line.insertWidget(0, made)
        line.addStretch(1)
        self._lines.addLayout(line)


def reason_text(reason: Any) -> str:
    """A reason as a helper gives it: a code with parameters, or plain words."""
    if isinstance(reason, dict) and "code" in reason:
        return note_text(str(reason["code"]), dict(reason.get("params", {})))
    return str(reason or "")


def fact_lines(facts: dict[str, Any]) -> Lines:
    """Name, value and reason of each thing a model's files say."""
    kind, template = facts.get("type") or {}, facts.get("template") or {}
    value = str(kind.get("value", ""))
    chosen = word("choice", str(template["choice"])) if template.get("choice") else "—"
    held = " · ".join([size(facts.get("bytes")), str(facts.get("dtype") or "")])
    kinds = {"chat": tr("Chat model"), "base": tr("Base model, not tuned for chat")}
    if facts.get("architecture") is None and facts.get("download_bytes") is not None:  # an archive shows no more
        return [*_download_of(facts)]
    return [
        *_download_of(facts),
        (tr("Type"), kinds.get(value, value), reason_text(kind.get("reason"))),
        (tr("Architecture"), str(facts.get("architecture") or "—"), str(facts.get("model_type") or "")),
        (tr("Size"), tr("{parameters} parameters", parameters=count_of(facts.get("parameters"))), held),
        (tr("Context"), tr("{n} tokens", n=f"{facts.get('context_length') or 0:,}"), ""),
        (tr("Template"), chosen, reason_text(template.get("reason"))),
        (tr("Licence"), *_licence_of(str(facts.get("licence") or ""))),
    ]


def _download_of(facts: dict[str, Any]) -> Lines:
    """What has to be fetched of a hub's model before it can be trained."""
    if facts.get("download_bytes") is None:
        return []
    if facts.get("cached"):
        return [(tr("Download"), tr("Already here"), "")]
    gated = tr("It needs a token of an account that accepted its terms.") if facts.get("gated") else ""
    return [(tr("Download"), size(facts["download_bytes"]), gated)]


def _licence_of(name: str) -> tuple[str, str]:
    if not name:
        return "—", tr("Its files name none: ask its makers before you pass the result on.")
    return name, tr("As its files state it.")


def listed_lines(one: Listed) -> Lines:
    """The same as the catalogue has it."""
    model, family = one.size, one.family
    kinds = {"chat": tr("Chat model"), "base": tr("Base model, not tuned for chat")}
    amount = tr("{parameters} parameters", parameters=count_of(model.parameters))
    kind = (
        tr("mixture of experts: {active} work on each token", active=count_of(model.active))
        if model.active
        else tr("dense: all of them work on each token")
    )
    weights = tr("about {size} to download", size=size(model.weight_bytes()))
    free = one.licence_class == "open"
    licence = tr("Free to use, change and pass on.") if free else tr("With conditions: read them before you begin.")
    tongues = ", ".join(word("language", code) for code in one.languages[:8])
    lines = [
        (tr("Type"), kinds[model.kind], tr("Read from the catalogue; its files are looked into after the download.")),
        (tr("Made by"), family.maker, family.name),
        (tr("Size"), amount, " · ".join([kind, weights])),
        (tr("Context"), tr("{n} tokens", n=f"{model.context:,}"), ""),
        (tr("Template"), family.template, tr("The model's own is taken, since it was trained with it.")),
        (tr("Targets"), tr("All linear"), ", ".join(family.targets)),
        (tr("Languages"), tongues + ("…" if len(one.languages) > 8 else ""), ""),
        (tr("Licence"), one.licence, licence),
    ]
    if model.own_code:
        lines.append((tr("Code"), tr("brings its own"), tr("It needs Python code that comes with it.")))
    return lines


def fact(name: str, value: str, reason: str) -> QWidget:
    """One line: name, value, reason."""
    made = QWidget()
    head = label(name, "label", wrap=True)
    head.setFixedWidth(116)
    layout = row(head, label(value, "strong", wrap=True), label(reason, "hint", wrap=True), spacing=10)
    layout.setStretch(1, 2)
    layout.setStretch(2, 3)
    made.setLayout(layout)
    return made
