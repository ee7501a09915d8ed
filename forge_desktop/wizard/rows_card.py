"""The first rows as the model will see them: rendered with its template, what is learned underlined."""

from __future__ import annotations

import html
from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from engine.contract.errors import Problem
from engine.contract.stages import stage_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, button, clear, label, row
from forge_desktop.theme.language import explain, labelled, problem_text, sentences, tr, word
from forge_desktop.theme.look import mono_font, tokens
from forge_desktop.wizard.fields import sign_of

MAX_PROBLEMS = 8
MAX_TEXT = 2000


class RowsCard(Card):
    """Rows, or why there are none to show."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(tr("First rows, as the model sees them"))
        self._draft = draft
        self._about = label("", "hint", wrap=True)
        self.body.addWidget(self._about)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(10)
        self.body.addLayout(self._rows)
        for news in (draft.previewed, draft.seen, draft.inspected):
            news.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        clear(self._rows)
        draft = self._draft
        self._about.setText("")
        for number, look in enumerate(draft.looks):
            problems = [Problem.model_validate(found) for found in look.facts.get("problems", [])]
            problems += look.error.problems if look.error is not None else []
            for problem in problems[:MAX_PROBLEMS]:
                self._rows.addWidget(_problem_line(problem, number if len(draft.looks) > 1 else None))
            if len(problems) > MAX_PROBLEMS:
                self._rows.addWidget(label(tr("… and {n} more", n=len(problems) - MAX_PROBLEMS), "hint"))
        for problem in draft.seen_error.problems[:MAX_PROBLEMS] if draft.seen_error is not None else ():
            self._rows.addWidget(label(sign_of("bad") + problem_text(problem), "hint", tone="bad", wrap=True))
        if draft.seen_rows:
            self._show_seen(draft.seen_rows)
        elif draft.data_facts:
            self._show_plain()
        elif draft.previewing:
            self._about.setText(tr("Reading the first rows…"))
        elif draft.data_error is not None:
            self._about.setText(sign_of("bad") + sentences(*explain(draft.data_error)))
            again = button(tr("Try again"), "default", "refresh-cw", draft.preview, name="wizard.data.again")
            self._rows.addLayout(row(again, None))
        else:
            self._about.setText(tr("Choose a dataset to see its rows."))
        self._about.setVisible(bool(self._about.text()))

    def _show_seen(self, seen: dict[str, Any]) -> None:
        if stage_of(str(self._draft.get("stage"))).head:
            self._about.setText(tr("The model reads all of it; what it learns of a text stands above it."))
            for found in seen.get("rows", []):
                self._rows.addWidget(_seen_row(found, reads_only=True))
            return
        share = float(seen.get("trained_share") or 0)
        self._about.setText(
            tr(
                "Underlined: what is learned, {share} of all tokens. The rest is only read.",
                share=f"{100 * share:.0f}%",
            )
        )
        for found in seen.get("rows", []):
            self._rows.addWidget(_seen_row(found))

    def _show_plain(self) -> None:
        """Without the model's tokenizer: roles and texts."""
        draft = self._draft
        if draft.seen_error is not None:
            self._about.setText(sign_of("warn") + sentences(*explain(draft.seen_error)))
        elif draft.seeing:
            self._about.setText(tr("Rendering them with the model's template…"))
        elif draft.get("model.path"):
            self._about.setText(tr("Shown by role: the template is known once the model is here."))
        else:
            self._about.setText(tr("Shown by role: choose a model to see them with its template."))
        for turns in draft.data_facts.get("preview", [])[:3]:
            self._rows.addWidget(_plain_row(turns))


def _problem_line(problem: Problem, dataset: int | None) -> QWidget:
    place = tr("Line {line}", line=problem.line) if problem.line is not None else problem.field
    if dataset is not None:
        place = tr("Dataset {n}, {place}", n=dataset + 1, place=place)
    return label(sign_of("bad") + labelled(place, problem_text(problem)), "hint", tone="bad", wrap=True)


def _seen_row(found: dict[str, Any], reads_only: bool = False) -> QWidget:
    card = Card(margins=(12, 8, 12, 10))
    card.body.setSpacing(4)
    parts = [
        tr("Line {line}", line=found.get("line")),
        tr("{n} tokens", n=f"{found.get('tokens', 0):,}"),
        *([] if reads_only else [tr("{n} learned", n=f"{found.get('trained_tokens', 0):,}")]),
    ]
    if found.get("side"):
        parts.insert(1, word("side", str(found["side"])))
    if found.get("cut"):
        parts.append(tr("cut at the maximum length"))
    card.body.addWidget(label(" · ".join(parts), "label"))
    text = QLabel()
    text.setTextFormat(Qt.TextFormat.RichText)
    text.setWordWrap(True)
    text.setProperty("role", "seen")
    font = mono_font()
    for feature in ("liga", "calt"):  # a token such as <|im_end|> is shown letter by letter
        font.setFeature(QFont.Tag(feature), 0)
    text.setFont(font)
    text.setText(marked_up(found.get("spans", [])))
    text.setAccessibleName(spoken(found.get("spans", [])))
    text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    card.body.addWidget(text)
    return card


def marked_up(spans: list[dict[str, Any]]) -> str:
    """Spans as rich text: what is learned is underlined and on a ground of its own."""
    t, parts, left = tokens(), [], MAX_TEXT
    for span in spans:
        text = str(span.get("text", ""))[:left]
        left -= len(text)
        shown = html.escape(text).replace("\n", f'<span style="color:{t.muted}">↵</span><br>')
        if span.get("trained"):
            style = f"color:{t.accent_text}; background-color:{t.accent_soft}; text-decoration:underline;"
            shown = f'<span style="{style}">{shown}</span>'
        parts.append(shown)
        if left <= 0:
            parts.append("…")
            break
    return "".join(parts).removesuffix("<br>").removesuffix("<br></span>")


def spoken(spans: list[dict[str, Any]]) -> str:
    """The same for a screen reader."""
    parts = [
        labelled(tr("learned") if span.get("trained") else tr("only read"), str(span.get("text", ""))[:300])
        for span in spans
    ]
    return "; ".join(parts)


def _plain_row(turns: Any) -> QWidget:
    card = Card(margins=(12, 8, 12, 8))
    card.body.setSpacing(4)
    for turn in turns if isinstance(turns, list) else [{"role": "text", "text": str(turns)}]:
        role = str(turn.get("role", ""))
        names = {"user": tr("User"), "assistant": tr("Assistant"), "system": tr("System"), "text": tr("Text")}
        head = label(names.get(role, role), "label", tone="accent" if role == "assistant" else "")
        head.setFixedWidth(max(80, head.sizeHint().width()))
        text = str(turn.get("text") or turn.get("content") or "")
        layout = row(head, label(text[:600], wrap=True), spacing=10)
        layout.setStretch(1, 1)
        card.body.addLayout(layout)
    return card
