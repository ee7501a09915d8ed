"""The rail beside the wizard: what will happen, and what still stands in the way."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from forge_desktop.models.draft_model import DraftModel, groups
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Elided, clear, column, label, row
from forge_desktop.theme.language import explain, labelled, problem_text, sentences, setting_label, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import count_of

MAX_LINES = 8


class Rail(QWidget):
    """Follows the draft."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        plan, before = Card(tr("What will happen")), Card(tr("Before you start"))
        before.setObjectName("wizard.before")
        self._plan, self._before = QVBoxLayout(), QVBoxLayout()
        for card, lines in ((plan, self._plan), (before, self._before)):
            lines.setSpacing(8)
            card.body.addLayout(lines)
        self.setLayout(column(plan, before, None, spacing=14))
        for signal in (draft.checked, draft.inspected, draft.previewed):
            signal.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        clear(self._plan)
        for name, value in self.plan():
            made = QWidget()
            text = Elided(value, "strong")
            text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            layout = row(label(name), None, spacing=10)
            layout.addWidget(text, 2)
            made.setLayout(layout)
            self._plan.addWidget(made)
        clear(self._before)
        for icon, colour, line_text in self.lines()[:MAX_LINES]:
            picture = label()
            picture.setPixmap(icons.pixmap(icon, colour, 16))
            made = QWidget()
            layout = row(picture, label(line_text, wrap=True), spacing=10)
            layout.setStretch(1, 1)
            made.setLayout(layout)
            self._before.addWidget(made)

    def plan(self) -> list[tuple[str, str]]:
        """Name and value of each thing that is known already."""
        draft, config = self._draft, self._draft.config
        rows, steps = draft.data_facts.get("rows"), draft.steps()
        lines = [
            (tr("Model"), count_of(draft.model_facts.get("parameters"))),
            (tr("Training rows"), f"{rows:,}" if isinstance(rows, int) else "—"),
            (tr("Steps"), f"{steps:,}" if steps is not None else "—"),
        ]
        if config is not None:
            recipe = config.training
            batch = recipe.micro_batch_size * recipe.accumulation
            lines.append((tr("Rows per step"), f"{batch:,}"))
            method = word("choice", config.tuner.kind)
            method += tr(" rank {rank}", rank=config.tuner.rank) if config.tuner.kind == "lora" else ""
            lines.append((tr("Method"), method))
            lines.append((tr("Precision"), word("choice", recipe.precision)))
        return lines

    def lines(self) -> list[tuple[str, str, str]]:
        """Icon, colour and text of each problem and warning, or the good news that there is none."""
        t, draft = tokens(), self._draft
        found = [
            ("x", t.bad_text, labelled(title_of(problem.field), problem_text(problem))) for problem in draft.problems
        ]
        for error in (draft.model_error, draft.data_error):
            if error is not None:
                found.append(("x", t.bad_text, sentences(*explain(error))))
        for path, value, (low, high) in draft.unusual():
            text = tr("{setting} {value} is unusual ({low} to {high})", setting=title_of(path), value=f"{value:g}",
                      low=f"{low:g}", high=f"{high:g}")  # fmt: skip
            found.append(("triangle-alert", t.warn_text, text))
        if not draft.get("evaluation.data"):
            found.append(("triangle-alert", t.warn_text, tr("No held-out rows: nothing will show what was gained.")))
        if not draft.problems:
            found.insert(0, ("check", t.ok_text, tr("Settings are complete and can run.")))
            if draft.data_facts and not draft.data_facts.get("problems"):
                found.insert(1, ("check", t.ok_text, tr("The dataset's rows can be read.")))
        return found


def title_of(path: str) -> str:
    """A setting's label by its path; the name of its group for something inside a list."""
    parts = [part for part in path.split(".") if not part.isdigit()]
    group, name = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0] if parts else "")
    model = groups().get(group)
    if model is not None and name in model.model_fields:
        return setting_label(model, name)
    return path
