"""Step 3: the recipe. A preset to begin with, the basics with what they mean, and the rest folded."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.presets import Presets
from forge_desktop.theme.controls import Card, column
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.later import Later
from forge_desktop.theme.slices import Slices
from forge_desktop.wizard.fields import FoldedForm, Form, Make, paths_of, written
from forge_desktop.wizard.preset_bar import PresetBar
from forge_desktop.wizard.prompts_field import PromptsField
from forge_desktop.wizard.recipe_fields import LengthField, RankField, RateField, batch_field, epochs_field
from forge_desktop.wizard.rollout_fields import RolloutFolds
from forge_desktop.wizard.stage_fields import StageField, objective_folds
from forge_desktop.wizard.targets_card import TargetsCard
from forge_desktop.wizard.tuner_fields import (
    AdapterField,
    OptimizerOptionsField,
    OptionsField,
    QuantisationField,
    is_of_use,
    method_field,
)

BASICS = [
    "tuner.kind",
    "tuner.rank",
    "training.learning_rate",
    "training.epochs",
    "data.max_length",
    "stage",
    "training.micro_batch_size",
    "training.accumulation",
]
SPECIAL: dict[str, Make] = {
    "stage": StageField,
    "tuner.kind": method_field,
    "tuner.rank": RankField,
    "training.learning_rate": RateField,
    "training.epochs": epochs_field,
    "data.max_length": LengthField,
    "training.micro_batch_size": batch_field,
    "training.accumulation": batch_field,
}
LOGGING = ["training.log_every", "training.seed", "training.threads"]
SAVING = ["training.validate_every"]
LIMITS = ["training.max_steps", "training.max_grad_norm"]


class TrainingStep(QWidget):
    """How training proceeds."""

    def __init__(self, draft: DraftModel, presets: Presets) -> None:
        super().__init__()
        self._draft = draft
        self.presets = PresetBar(draft, presets)
        basics = Card(tr("Basics"))
        basics.body.addWidget(self.presets)
        self._basics = Form(draft, BASICS, special=SPECIAL)
        basics.body.addWidget(self._basics)
        self._rest: Later[QWidget] = Later(self._make_rest)
        self._rest.hide()
        self.setLayout(column(basics, self._rest, None, spacing=14))
        self._slices = Slices(self)
        self._slices.begin([self._show_rest], now=False)

    @property
    def is_built(self) -> bool:
        """What is folded is there, too."""
        return self._rest.is_made

    def finish(self) -> None:
        """Somebody needs all of it now."""
        self._slices.finish()

    def _show_rest(self) -> None:
        self._rest.made()
        self._rest.show()

    def _make_rest(self) -> QWidget:
        """What most people do not touch; it comes a turn after the basics."""
        made = QWidget()
        made.setLayout(column(TargetsCard(self._draft), *self._folds(), spacing=14))
        return made

    def _folds(self) -> list[QWidget]:
        draft = self._draft
        elsewhere = {*LOGGING, *SAVING, *LIMITS}
        optimiser = [path for path in paths_of("training", basic=False) if path not in elsewhere]
        adapter = [path for path in paths_of("tuner", basic=False) if path != "tuner.targets"]
        measured = [path for path in paths_of("evaluation", basic=False) if path != "evaluation.data"]
        return [
            RolloutFolds(draft),
            objective_folds(draft),
            FoldedForm(
                draft,
                tr("Optimiser and precision"),
                optimiser,
                "wizard.fold.training",
                self._optimiser,
                special={"training.optimizer_options": OptimizerOptionsField},
            ),
            FoldedForm(
                draft,
                tr("Adapter and weights"),
                [*adapter, "model.quantisation", "model.dtype", "model.attention"],
                "wizard.fold.tuner",
                special={
                    **{path: OptionsField if path == "tuner.options" else AdapterField for path in adapter},
                    "model.quantisation": QuantisationField,
                },
                counts=partial(is_of_use, draft),
            ),
            FoldedForm(
                draft,
                tr("Checkpoints and evaluation"),
                [*paths_of("checkpoints", basic=False), *SAVING, *measured],
                "wizard.fold.checkpoints",
                self._saving,
            ),
            FoldedForm(
                draft,
                tr("Early stop and result"),
                paths_of("stopping", basic=False),
                "wizard.fold.stopping",
                self._stopping,
            ),
            FoldedForm(draft, tr("Guards"), paths_of("guards", basic=False), "wizard.fold.guards"),
            FoldedForm(
                draft,
                tr("While it trains"),
                paths_of("watching", basic=False),
                "wizard.fold.watching",
                special={"watching.prompts": PromptsField},
            ),
            FoldedForm(draft, tr("Variables and more arguments"), paths_of("extra", basic=False), "wizard.fold.extra"),
            FoldedForm(draft, tr("Push to a hub"), paths_of("outputs.push", basic=False), "wizard.fold.push"),
            FoldedForm(draft, tr("Limits and safety"), LIMITS, "wizard.fold.limits.training"),
            FoldedForm(draft, tr("Logging and reproducibility"), LOGGING, "wizard.fold.logging", self._logging),
        ]

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self._basics.fields[BASICS[0]].focus()

    def _optimiser(self) -> str:
        shown = [str(self._draft.get(f"training.{name}")) for name in ("optimizer", "schedule", "precision")]
        return " · ".join(word("choice", value) for value in shown)

    def _saving(self) -> str:
        minutes, best = self._draft.get("checkpoints.every_minutes"), self._draft.get("checkpoints.keep_best")
        if minutes is None:
            return ""
        return tr("every {minutes} min, the best {best} kept", minutes=written(minutes), best=best)

    def _stopping(self) -> str:
        patience = self._draft.get("stopping.patience")
        if patience is None:
            return ""
        return tr("after {n} measurements without a gain", n=patience)

    def _logging(self) -> str:
        return tr("seed {seed}", seed=self._draft.get("training.seed"))
