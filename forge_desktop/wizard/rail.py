"""The rail beside the wizard: what will happen, and what still stands in the way."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.scratch import HUB
from engine.contract.stream import Resources
from forge_desktop.bridge.session import Session
from forge_desktop.models import forecast_words, memory_words
from forge_desktop.models.draft_advice import warning
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.forecast_model import ForecastModel
from forge_desktop.models.plan import plan_of
from forge_desktop.theme.controls import Card, Elided, clear, column, label, row
from forge_desktop.theme.language import explain, labelled, problem_text, sentences, tr, word
from forge_desktop.theme.measures import count_of
from forge_desktop.wizard.check_line import CheckLine
from forge_desktop.wizard.recipe_fields import length_warning, rate_warning
from forge_desktop.wizard.titles import title_of
from forge_desktop.wizard.tuner_fields import takes

MAX_LINES = 10
WARNED = ("tuner.rank", "training.micro_batch_size", "objective.beta")
"""Settings whose unusual values are said here too; those with a usual range say so anyway."""
Line = tuple[str, str, str]
"""Tone, text, and the setting it speaks of."""


class Rail(QWidget):
    """Follows the draft."""

    wanted = Signal(str)
    """Somebody wants to go to this setting."""

    def __init__(self, draft: DraftModel, session: Session, forecast: ForecastModel) -> None:
        super().__init__()
        self._forecast = forecast
        self._draft, self._now = draft, Resources(slots={}, used={}, waiting=0)
        self._known_machine, self._no_worker = False, False
        self._shown_plan: list[tuple[str, str]] = []
        self._shown_lines: list[Line] = []
        plan, before = Card(tr("What will happen")), Card(tr("Before you start"))
        before.setObjectName("wizard.before")
        self._plan, self._before = QVBoxLayout(), QVBoxLayout()
        for card, lines, gap in ((plan, self._plan, 8), (before, self._before, 2)):
            lines.setSpacing(gap)
            card.body.addLayout(lines)
        self.setLayout(column(plan, before, None, spacing=14))
        for signal in (draft.checked, draft.inspected, draft.previewed, draft.seen, draft.changed, forecast.changed):
            signal.connect(self._refresh)
        session.resources.connect(self._machine)
        session.ask(lambda backend: backend.resources(), self._machine, lambda _error: None, owner=self)
        session.ask(lambda backend: backend.health().worker_python, self._worker, lambda _error: None, owner=self)
        self._refresh()

    @Slot(object)
    def _machine(self, now: Resources) -> None:
        first, self._known_machine, self._now = not self._known_machine, True, now
        if first or now.names:
            self._refresh()

    def _worker(self, python: str | None) -> None:
        self._no_worker = python is None
        self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        plan, lines = self.plan(), self.lines()[:MAX_LINES]
        if plan != self._shown_plan:
            self._shown_plan = plan
            clear(self._plan)
            for name, value in plan:
                self._plan.addWidget(_plan_line(name, value))
        if lines != self._shown_lines:  # a line under the keyboard stays while nothing changes
            self._shown_lines = lines
            clear(self._before)
            for line in lines:
                made = CheckLine(*line)
                if made.path:
                    made.clicked.connect(lambda _checked=False, path=made.path: self.wanted.emit(path))
                self._before.addWidget(made)

    def plan(self) -> list[tuple[str, str]]:
        """Name and value of each thing that is known already."""
        draft, config = self._draft, self._draft.config
        plan = plan_of(draft, self._now if self._known_machine else None)
        lines = [
            (tr("Model"), tr("{n} parameters", n=count_of(plan.parameters)) if plan.parameters else "—"),
            (tr("Training rows"), f"{plan.rows:,}" if plan.rows is not None else "—"),
            (tr("Steps"), f"{plan.steps:,}" if plan.steps is not None else "—"),
        ]
        if plan.tokens is not None:
            lines.append((tr("Tokens seen"), f"≈ {count_of(plan.tokens)}"))
        if config is not None:
            recipe = config.training
            lines.append((tr("Rows per step"), f"{recipe.micro_batch_size * recipe.accumulation:,}"))
        kind, rank = str(draft.get("tuner.kind")), draft.get("tuner.rank")
        width = tr(" rank {rank}", rank=rank) if takes(draft, "rank") else ""
        lines.append((tr("Method"), word("choice", kind) + width))
        if plan.trained:
            lines.append((tr("Trained"), count_of(plan.trained)))
        lines.append((tr("Device"), plan.device or "—"))
        precision = word("choice", plan.precision) if plan.precision else tr("chosen by the worker")
        return [*lines, (tr("Precision"), precision), *self._expected()]

    def _expected(self) -> list[tuple[str, str]]:
        """Time and cost, and what they are taken from; plainly nothing where no run is like it."""
        found = self._forecast.forecast
        if found is None:
            return []
        memory = [(tr("Memory"), memory_words.line(found.memory))] if found.memory is not None else []
        if found.seconds is None:
            return [*memory, (tr("Time"), forecast_words.why_not(found))]
        cost = [(tr("Cost"), forecast_words.cost_text(found))] if found.cost is not None else []
        return [*memory, (tr("Time"), forecast_words.time_text(found)), *cost,
                (tr("Forecast"), forecast_words.taken_from(found))]  # fmt: skip

    def lines(self) -> list[Line]:
        """Each problem, warning and good news."""
        draft = self._draft
        found: list[Line] = [
            ("bad", labelled(title_of(one.field), problem_text(one)), one.field) for one in draft.problems
        ]
        if self._no_worker:
            found.append(("bad", tr("There is no worker environment yet."), "settings/workers"))
        for error, path in ((draft.model_error, "model.path"), (draft.data_error, "data.train.0.path")):
            if error is not None and not any(one.field == path for one in draft.problems):
                found.append(("bad", sentences(*explain(error)), path))
        return [*found, *self._warnings(), *self._good_news()]

    def _warnings(self) -> list[Line]:
        draft, found = self._draft, list[Line]()
        for path, value, (low, high) in draft.unusual():
            text = tr("{setting} {value} is unusual ({low} to {high})", setting=title_of(path), value=f"{value:g}",
                      low=f"{low:g}", high=f"{high:g}")  # fmt: skip
            found.append(("warn", text, path))
        said = [(rate_warning(draft), "training.learning_rate"), (length_warning(draft), "data.max_length")]
        for text, path in (*said, *((warning(draft, path), path) for path in WARNED)):
            if text:
                found.append(("warn", labelled(title_of(path), text), path))
        fitting = draft.fitting()
        if fitting is not None and fitting < 0.95:
            found.append(
                ("warn", tr("Many rows are longer than the maximum length and would be cut."), "data.max_length")
            )
        forecast = self._forecast.forecast
        over = forecast_words.budget_text(forecast) if forecast is not None else ""
        if over:
            found.append(("warn", over, "settings/alerts"))
        short = memory_words.warning(forecast.memory) if forecast is not None and forecast.memory is not None else ""
        if short:
            found.append(("warn", short, "training.micro_batch_size"))
        if draft.get("model.trust_remote_code"):
            found.append(("warn", tr("The model's own code will run with your rights."), "model.trust_remote_code"))
        if not draft.get("evaluation.data"):
            found.append(("warn", tr("No held-out rows: nothing will show what was gained."), "evaluation.data"))
        return found

    def _good_news(self) -> list[Line]:
        draft, found = self._draft, list[Line]()
        if not draft.problems and not self._no_worker:
            found.append(("ok", tr("Settings are complete and can run."), ""))
        if draft.model_facts and not draft.model_facts.get("problems"):
            made = draft.get("model.hub") == HUB
            said = tr("The model's form is whole.") if made else tr("The model's files fit together.")
            found.append(("ok", said, ""))
        if (
            draft.data_facts
            and draft.data_error is None
            and not any(look.facts.get("problems") for look in draft.looks)
        ):
            found.append(("ok", tr("The dataset's rows can be read."), ""))
        listed = draft.listed
        if listed is not None and listed.licence_class == "open":
            found.append(("ok", tr("The licence allows fine-tuning ({name}).", name=listed.licence), ""))
        elif listed is not None:
            found.append(("warn", tr("Read the licence's conditions ({name}).", name=listed.licence), "model.path"))
        return found


def _plan_line(name: str, value: str) -> QWidget:
    made = QWidget()
    text = Elided(value, "strong")
    text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    layout = row(label(name), None, spacing=10)
    layout.addWidget(text, 3)
    made.setLayout(layout)
    return made
