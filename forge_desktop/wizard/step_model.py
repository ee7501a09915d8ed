"""Step 1: the base model. What its config says is shown with the reason, and can be changed."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, button, clear, column, label, restyle, row
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import explain, note_text, problem_text, sentences, tr, word
from forge_desktop.theme.measures import count_of, size
from forge_desktop.wizard.fields import Form
from forge_desktop.wizard.source_card import SourceCard, SourceTexts


class ModelStep(QWidget):
    """Choose a model; see what it is."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        self._facts = _FactsCard(draft)
        self._targets = _TargetsCard(draft)
        options = Card(tr("How it is used"))
        options.body.addWidget(Form(draft, ["model.template", "model.system"]))
        texts = SourceTexts(
            title=tr("Base model"),
            bundled=(tr("Bundled demo model"), tr("Small, made to be trained in a minute on any computer")),
            local=(tr("A folder on this computer"), tr("config.json, tokenizer and *.safetensors")),
            hint=tr("/path/to/model"),
            picker=tr("Model folder"),
        )
        choose = SourceCard(
            draft,
            "model",
            texts,
            lambda: draft.set_model("demo", "bundled"),
            lambda path: draft.set_model(path, "local"),
        )
        self.setLayout(column(choose, self._facts, self._targets, options, None, spacing=14))


class _FactsCard(Card):
    """What the model's own files say."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(tr("What it is"))
        self._draft = draft
        self._lines = QVBoxLayout()
        self._lines.setSpacing(8)
        self.body.addLayout(self._lines)
        draft.inspected.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        clear(self._lines)
        draft, facts = self._draft, self._draft.model_facts
        if draft.inspecting:
            self._lines.addWidget(label(tr("Reading the model's config…"), "hint"))
        elif draft.model_error is not None:
            text = sentences(*explain(draft.model_error))
            self._lines.addWidget(label(text, "hint", tone="bad", wrap=True))
        elif not facts:
            self._lines.addWidget(label(tr("Choose a model to see what it is."), "hint"))
        else:
            for name, value, reason in fact_lines(facts):
                self._lines.addWidget(_fact(name, value, reason))


def reason_text(reason: Any) -> str:
    """A reason as a helper gives it: a code with parameters, or plain words."""
    if isinstance(reason, dict) and "code" in reason:
        return note_text(str(reason["code"]), dict(reason.get("params", {})))
    return str(reason or "")


def fact_lines(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and reason of each thing known about a model."""
    kind, template = facts.get("type") or {}, facts.get("template") or {}
    value = str(kind.get("value", ""))
    chosen = word("choice", str(template["choice"])) if template.get("choice") else "—"
    kinds = {"chat": tr("Chat model"), "base": tr("Base model, not tuned for chat")}
    lines = [
        (tr("Type"), kinds.get(value, value), reason_text(kind.get("reason"))),
        (tr("Architecture"), str(facts.get("architecture") or "—"), str(facts.get("model_type") or "")),
        (
            tr("Size"),
            tr("{parameters} parameters", parameters=count_of(facts.get("parameters"))),
            " · ".join([size(facts.get("bytes")), str(facts.get("dtype") or "")]),
        ),
        (tr("Context"), tr("{n} tokens", n=f"{facts.get('context_length') or 0:,}"), ""),
        (
            tr("Template"),
            chosen,
            reason_text(template.get("reason")),
        ),
    ]
    if facts.get("licence"):
        lines.append((tr("Licence"), str(facts["licence"]), ""))
    return lines


def _fact(name: str, value: str, reason: str) -> QWidget:
    made = QWidget()
    head = label(name, "label")
    head.setFixedWidth(110)
    layout = row(head, label(value, "strong", wrap=True), label(reason, "hint", wrap=True), spacing=10)
    layout.setStretch(1, 2)
    layout.setStretch(2, 3)
    made.setLayout(layout)
    return made


class _TargetsCard(Card):
    """Which modules get an adapter."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(tr("Target modules"))
        self._draft = draft
        self.head.addStretch(1)
        self._all = button(tr("All linear"), "toggle-chip", name="wizard.targets.all")
        self._all.setCheckable(True)
        self._all.clicked.connect(lambda: draft.set("tuner.targets", ["all-linear"]))
        self.head.addWidget(self._all)
        self._chips = QWidget()
        self._flow = FlowLayout(self._chips, spacing=8)
        self._why = label("", "hint", wrap=True)
        self.body.addWidget(self._chips)
        self.body.addWidget(self._why)
        self._names: list[str] = []
        draft.inspected.connect(self._rebuild)
        draft.changed.connect(self._refresh)
        self._rebuild()

    @Slot()
    def _rebuild(self) -> None:
        names = [str(name) for name in self._draft.model_facts.get("targets", [])]
        if names != self._names:
            self._names = names
            self._flow.clear()
            for name in names:
                chip = button(name, "toggle-chip", name=f"wizard.target.{name}")
                chip.setCheckable(True)
                chip.clicked.connect(self._clicked)
                self._flow.addWidget(chip)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        full = self._draft.get("tuner.kind") == "full"
        self.setVisible(not full)
        chosen = self._draft.get("tuner.targets")
        everything = chosen == ["all-linear"]
        self._all.setChecked(everything)
        for chip in self._chip_buttons():
            chip.setChecked(everything or chip.text() in chosen)
        problems = self._draft.problems_of("tuner.targets")
        if problems:
            text = problem_text(problems[0])
        elif not self._names:
            text = tr("Named once the model is known; until then all linear layers.")
        elif everything:
            text = tr("Every linear layer: the usual choice, learns most for its size.")
        else:
            text = tr("{n} of {total} modules get an adapter.", n=len(chosen), total=len(self._names))
        self._why.setText(text)
        restyle(self._why, tone="bad" if problems else "")

    def _chip_buttons(self) -> list[QPushButton]:
        return list(self._chips.findChildren(QPushButton))

    def _clicked(self) -> None:
        chosen = [chip.text() for chip in self._chip_buttons() if chip.isChecked()]
        self._draft.set("tuner.targets", ["all-linear"] if len(chosen) == len(self._names) else chosen)
