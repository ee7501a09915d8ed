"""Step 2: the dataset. Its form is recognised, its first rows are shown as the model will see them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.errors import Problem
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, Chip, Field, button, clear, column, label, row
from forge_desktop.theme.language import explain, labelled, problem_text, sentences, tr, word
from forge_desktop.wizard.fields import Form
from forge_desktop.wizard.source_card import SourceCard, SourceTexts, pick, show_problem
from forge_desktop.wizard.step_model import reason_text

FILES = "*.jsonl *.json *.csv *.tsv *.parquet *.arrow *.feather *.txt"
MAX_PROBLEMS = 8


class DataStep(QWidget):
    """Choose rows; see them."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        self.setAcceptDrops(True)
        use = Card(tr("How it is used"))
        use.body.addWidget(Form(draft, ["data.max_length", "data.validation_share"]))
        texts = SourceTexts(
            title=tr("Training data"),
            bundled=(tr("Bundled demo data"), tr("Dates in words → ISO dates, English and Chinese")),
            local=(tr("A file on this computer"), tr("JSONL, JSON, CSV, Parquet or text; or drop one here")),
            hint=tr("/path/to/rows.jsonl"),
            picker=tr("Dataset file"),
            filter=f"{tr('Datasets')} ({FILES})",
        )
        choose = SourceCard(
            draft,
            "data.train.0",
            texts,
            lambda: draft.set_data("demo", "bundled", "demo/held_out", "demo/validation"),
            lambda path: draft.set_data(path, "local"),
        )
        self.setLayout(column(choose, _PreviewCard(draft), self._held_out_card(), use, None, spacing=14))
        draft.changed.connect(self._refresh)
        draft.checked.connect(self._refresh)
        self._refresh()

    def _held_out_card(self) -> Card:
        card = Card(tr("Held-out rows"))
        text = tr("Questions with known answers the model never trains on. They are asked before and after training.")
        card.body.addWidget(label(text, "hint", wrap=True))
        self._held_out = Field(hint=tr("empty: nothing is measured"), name="wizard.data.held_out")
        self._held_out.setAccessibleName(tr("Held-out rows"))
        self._held_out.editingFinished.connect(self._held_out_typed)
        browse = button(tr("Browse…"), "default", "folder-open", self._choose_held_out)
        path = row(self._held_out, browse, spacing=8)
        path.setStretch(0, 1)
        card.body.addLayout(path)
        self._held_out_problem = label("", "hint", tone="bad", wrap=True)
        card.body.addWidget(self._held_out_problem)
        return card

    @Slot()
    def _refresh(self) -> None:
        held_out = self._draft.get("evaluation.data")
        text = held_out[0]["path"] if held_out else ""
        if self._held_out.text() != text and not self._held_out.hasFocus():
            self._held_out.setText(text)
        problems = self._draft.problems_of("evaluation.data.0.path")
        show_problem(self._held_out_problem, self._held_out, problems)

    def _held_out_typed(self) -> None:
        held_out = self._draft.get("evaluation.data")
        if self._held_out.text().strip() != (held_out[0]["path"] if held_out else ""):
            self._draft.set_held_out(self._held_out.text().strip())

    def _choose_held_out(self) -> None:
        pick(self, tr("Held-out rows"), f"{tr('Datasets')} ({FILES})", self._draft.set_held_out)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Qt's own hook: one file may be dropped."""
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Qt's own hook."""
        self._draft.set_data(event.mimeData().urls()[0].toLocalFile(), "local")
        event.acceptProposedAction()


class _PreviewCard(Card):
    """The first rows, the recognised form, and what is wrong."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(tr("First rows"))
        self._draft = draft
        self._about = label("", "hint")
        self._chip = Chip()
        self.head.addWidget(self._about, 1)
        self.head.addWidget(self._chip)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(10)
        self.body.addLayout(self._rows)
        draft.previewed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        clear(self._rows)
        draft, facts = self._draft, self._draft.data_facts
        self._about.setText("")
        self._chip.setVisible(False)
        if draft.previewing:
            self._rows.addWidget(label(tr("Reading the first rows…"), "hint"))
        elif draft.data_error is not None:
            text = sentences(*explain(draft.data_error))
            self._rows.addWidget(label(text, "hint", tone="bad", wrap=True))
            for problem in draft.data_error.problems[:MAX_PROBLEMS]:
                self._rows.addWidget(_problem_line(problem))
        elif not facts:
            self._rows.addWidget(label(tr("Choose a dataset to see its rows."), "hint"))
        else:
            self._show_facts(facts)

    def _show_facts(self, facts: dict[str, Any]) -> None:
        rows = facts.get("rows")
        form = str(facts.get("format") or "")
        parts = [word("choice", form) if form else "", reason_text(facts.get("reason"))]
        self._about.setText(" · ".join(part for part in parts if part))
        problems = [Problem.model_validate(found) for found in facts.get("problems", [])]
        self._chip.setVisible(True)
        if problems:
            self._chip.set(tr("{n} problems", n=len(problems)), "bad", "circle-alert")
        else:
            text = tr("{n} rows", n=f"{rows:,}") if isinstance(rows, int) else tr("rows")
            self._chip.set(text, "ok", "check")
        for problem in problems[:MAX_PROBLEMS]:
            self._rows.addWidget(_problem_line(problem))
        for turns in facts.get("preview", []):
            self._rows.addWidget(_row(turns))


def _problem_line(problem: Problem) -> QWidget:
    place = tr("Line {line}", line=problem.line) if problem.line is not None else problem.field
    return label(labelled(place, problem_text(problem)), "hint", tone="bad", wrap=True)


def _row(turns: Any) -> QWidget:
    """One row of the dataset: its turns below one another."""
    card = Card(margins=(12, 8, 12, 8))
    card.body.setSpacing(4)
    for turn in turns if isinstance(turns, list) else [{"role": "text", "text": str(turns)}]:
        role = str(turn.get("role", ""))
        names = {"user": tr("User"), "assistant": tr("Assistant"), "system": tr("System"), "text": tr("Text")}
        head = label(names.get(role, role), "label", tone="accent" if role == "assistant" else "")
        head.setFixedWidth(80)
        text = str(turn.get("text") or turn.get("content") or "")
        layout = row(head, label(text[:600], wrap=True), spacing=10)
        layout.setStretch(1, 1)
        card.body.addLayout(layout)
    return card
