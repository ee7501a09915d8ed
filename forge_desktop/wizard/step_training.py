"""Step 3: the recipe. A preset to begin with, the basics with what they mean, and the rest folded."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.presets import Presets
from forge_desktop.theme.controls import Card, column
from forge_desktop.theme.language import tr, word
from forge_desktop.wizard.fields import FoldedForm, Form, Make, paths_of, written
from forge_desktop.wizard.preset_bar import PresetBar
from forge_desktop.wizard.recipe_fields import LengthField, RankField, RateField, batch_field, epochs_field
from forge_desktop.wizard.targets_card import TargetsCard

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
        elsewhere = {*LOGGING, *SAVING, *LIMITS}
        optimiser = [path for path in paths_of("training", basic=False) if path not in elsewhere]
        adapter = [path for path in paths_of("tuner", basic=False) if path != "tuner.targets"]
        measured = [path for path in paths_of("evaluation", basic=False) if path != "evaluation.data"]
        self.folds = [
            FoldedForm(draft, tr("Optimiser and precision"), optimiser, "wizard.fold.training", self._optimiser),
            FoldedForm(
                draft, tr("Adapter and weights"), [*adapter, "model.dtype", "model.attention"], "wizard.fold.tuner"
            ),
            FoldedForm(
                draft,
                tr("Checkpoints and evaluation"),
                [*paths_of("checkpoints", basic=False), *SAVING, *measured],
                "wizard.fold.checkpoints",
                self._saving,
            ),
            FoldedForm(draft, tr("Limits and safety"), LIMITS, "wizard.fold.limits.training"),
            FoldedForm(draft, tr("Logging and reproducibility"), LOGGING, "wizard.fold.logging", self._logging),
        ]
        self.setLayout(column(basics, TargetsCard(draft), *self.folds, None, spacing=14))

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self._basics.fields[BASICS[0]].focus()

    def _optimiser(self) -> str:
        schedule, precision = (str(self._draft.get(f"training.{name}")) for name in ("schedule", "precision"))
        return f"{word('choice', schedule)} · {word('choice', precision)}"

    def _saving(self) -> str:
        minutes, best = self._draft.get("checkpoints.every_minutes"), self._draft.get("checkpoints.keep_best")
        if minutes is None:
            return ""
        return tr("every {minutes} min, the best {best} kept", minutes=written(minutes), best=best)

    def _logging(self) -> str:
        return tr("seed {seed}", seed=self._draft.get("training.seed"))
