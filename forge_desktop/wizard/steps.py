"""The steps of the wizard: what belongs to each, and its form, which is made when it is first shown."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel, setting_of
from forge_desktop.models.forecast_model import ForecastModel
from forge_desktop.models.presets import Presets
from forge_desktop.models.recents import Recents
from forge_desktop.theme.controls import column
from forge_desktop.theme.later import Later
from forge_desktop.wizard.fields import FoldedForm, SettingField
from forge_desktop.wizard.step_compute import ComputeStep
from forge_desktop.wizard.step_data import DataStep
from forge_desktop.wizard.step_model import ModelStep
from forge_desktop.wizard.step_review import ReviewStep
from forge_desktop.wizard.step_training import TrainingStep

STEPS = (
    ("model", "Model", ("model", "scratch")),
    ("data", "Dataset", ("data", "evaluation.data")),
    (
        "training",
        "Training",
        (
            "training",
            "tuner",
            "stage",
            "objective",
            "head",
            "rollouts",
            "teacher",
            "evaluation",
            "checkpoints",
            "guards",
            "stopping",
            "watching",
            "extra",
            "outputs.push",
            "data.max_length",
            "model.quantisation",
            "model.dtype",
            "model.attention",
        ),
    ),
    ("compute", "Compute", ("compute",)),
    ("review", "Review", ("name", "project", "tags", "")),
)
Step = ModelStep | DataStep | TrainingStep | ComputeStep | ReviewStep


class Steps(QWidget):
    """Shows one step at a time. Not a stacked widget: that is as tall as its tallest page, and scrolls over nothing."""

    navigate = Signal(str)
    told = Signal(str)
    refused = Signal(object)
    """ErrorBody of a file, or None."""

    def __init__(
        self, draft: DraftModel, session: Session, presets: Presets, recents: Recents, forecast: ForecastModel
    ) -> None:
        super().__init__()
        self._draft, self._session, self._presets, self._recents = draft, session, presets, recents
        self._forecast = forecast
        self._training: Later[TrainingStep] = Later(self._make_training)
        self._places: tuple[Later[Step], ...] = (
            Later(self._make_model),
            Later(lambda: DataStep(draft, recents)),
            self._training,  # type: ignore[assignment]
            Later(self._make_compute),
            Later(self._make_review),
        )
        for place in self._places:
            place.hide()
        self.setLayout(column(*self._places))

    def _make_model(self) -> Step:
        made = ModelStep(self._draft, self._session, self._recents)
        made.navigate.connect(self.navigate)
        return made

    def _make_training(self) -> TrainingStep:
        made = TrainingStep(self._draft, self._presets)
        made.presets.told.connect(self.told)
        made.presets.refused.connect(self.refused)
        return made

    def _make_compute(self) -> Step:
        made = ComputeStep(self._draft, self._session)
        made.navigate.connect(self.navigate)
        return made

    def _make_review(self) -> Step:
        made = ReviewStep(self._draft, self._session, self._forecast)
        made.told.connect(self.told)
        return made

    def show_step(self, number: int) -> None:
        """Show one of them."""
        self._places[number].made()
        for other, place in enumerate(self._places):
            place.setVisible(other == number)

    def step(self, number: int) -> Step:
        """One of them, made now if nobody saw it yet."""
        return self._places[number].made()

    def is_made(self, number: int) -> bool:
        """It was shown already."""
        return self._places[number].is_made

    @property
    def is_whole(self) -> bool:
        """Nothing of what was shown is still to come."""
        return not self._training.is_made or self._training.made().is_built

    def save_template(self) -> None:
        """Keep the recipe under a name."""
        self._training.made().presets.save_as()

    def field(self, number: int, path: str) -> SettingField | None:
        """A setting of a step, unfolded."""
        step, path = self.step(number), setting_of(path)
        if isinstance(step, TrainingStep):
            step.finish()
        for fold in step.findChildren(FoldedForm):
            if fold.owns(path):
                fold.open()
        return next((found for found in step.findChildren(SettingField) if found.path == path), None)


def step_of(field: str) -> int:
    """The step a setting belongs to: the one that names the longest beginning of its path."""
    best, length = len(STEPS) - 1, -1
    for place, (_key, _text, paths) in enumerate(STEPS):
        for path in paths:
            if (field == path or (path and field.startswith(f"{path}."))) and len(path) > length:
                best, length = place, len(path)
    return best
