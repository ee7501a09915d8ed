"""The answers to a run's fixed prompts, step by step: a grid of prompts and steps, the newest first."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QWidget

from engine.contract.api import RunDetail, SampleInfo
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme.controls import Card, button, column, label, row
from forge_desktop.theme.language import count, tr

SHOWN = 12
"""Steps that are made at first; older ones when somebody asks for them."""
PROMPT_WIDTH, ANSWER_WIDTH = 190, 240
MOST_LETTERS = 600


def grid_of(detail: RunDetail | None) -> tuple[list[str], list[int], dict[tuple[str, int], SampleInfo]]:
    """Prompts in their order, steps from the newest, and the answers; of a step done twice the later attempt's."""
    answers: dict[tuple[str, int], SampleInfo] = {}
    order: dict[str, int] = {}
    for sample in detail.samples if detail else []:
        if sample.when == "checkpoint" and sample.step is not None:
            answers[sample.prompt, sample.step] = sample
            order.setdefault(sample.prompt, sample.index)
    prompts = sorted(order, key=lambda prompt: order[prompt])
    return prompts, sorted({step for _prompt, step in answers}, reverse=True), answers


class GalleryPanel(QWidget):
    """Seen once there is an answer."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self.setObjectName("run.gallery")
        self._model = model
        self._most = SHOWN
        self._shown: object = None
        self._card = Card(tr("Fixed prompts at checkpoints"))
        self._said = label("", "hint")
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        bar = self._area.horizontalScrollBar()
        bar.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # the arrow keys reach older steps
        bar.setObjectName("run.gallery.scroll")
        bar.setAccessibleName(tr("Fixed prompts at checkpoints"))
        self._older = button(tr("Show older ones"), "link", on_click=self._show_older, name="run.gallery.older")
        copy = button(tr("Copy all"), "link", "copy", self._copy, name="run.gallery.copy")
        self._card.body.addLayout(row(self._said, None, copy))
        self._card.body.addWidget(self._area)
        self._card.body.addLayout(row(self._older, None))
        self.setLayout(column(self._card))
        model.changed.connect(self._refresh)
        self._refresh()

    def text(self) -> str:
        """All of it as a table with tabs between: what is copied."""
        prompts, steps, answers = grid_of(self._model.detail)
        lines = [[tr("Prompt"), *(tr("Step {step}", step=f"{step:,}") for step in steps)]]
        for prompt in prompts:
            found = (answers.get((prompt, step)) for step in steps)
            lines.append([prompt, *(sample.answer if sample else "" for sample in found)])
        return "\n".join("\t".join(" ".join(cell.split()) for cell in line) for line in lines)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text())

    def _show_older(self) -> None:
        self._most += SHOWN
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        prompts, steps, answers = grid_of(self._model.detail)
        self.setVisible(bool(steps))
        key = (self._most, [(*place, sample.answer) for place, sample in answers.items()])
        if key == self._shown:
            return
        self._shown = key
        self._older.setVisible(len(steps) > self._most)
        asked = count(len(steps), "{n} checkpoint, the newest first", "{n} checkpoints, the newest first")
        self._said.setText(asked)
        self._fill(prompts, steps[: self._most], answers)

    def _fill(self, prompts: list[str], steps: list[int], answers: dict[tuple[str, int], SampleInfo]) -> None:
        inner = QWidget()
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 8)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(8)
        for column_at, step in enumerate(steps, 1):
            grid.addWidget(label(tr("Step {step}", step=f"{step:,}"), "label"), 0, column_at)
            grid.setColumnMinimumWidth(column_at, ANSWER_WIDTH)
        grid.setColumnMinimumWidth(0, PROMPT_WIDTH)
        for row_at, prompt in enumerate(prompts, 1):
            asked = label(_cut(prompt), "strong", wrap=True, select=True)
            grid.addWidget(asked, row_at, 0, Qt.AlignmentFlag.AlignTop)
            for column_at, step in enumerate(steps, 1):
                grid.addWidget(_cell(answers.get((prompt, step))), row_at, column_at)
        grid.setColumnStretch(len(steps) + 1, 1)
        inner.setLayout(grid)
        self._area.setWidget(inner)
        bar = self._area.horizontalScrollBar().sizeHint().height()
        inner.adjustSize()
        self._area.setMinimumHeight(inner.sizeHint().height() + bar)


def _cell(sample: SampleInfo | None) -> QFrame:
    made = QFrame()
    made.setProperty("role", "answer")
    text = tr("Not asked.") if sample is None else _cut(sample.answer.strip()) or tr("(empty answer)")
    said = label(text, "hint" if sample is None else "body", wrap=True, select=True)
    made.setLayout(column(said, None, margins=(12, 8, 12, 8)))
    return made


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
