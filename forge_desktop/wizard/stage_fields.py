"""The choice of a stage, with what each learns, and the settings of its loss: those of the chosen stage only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from engine.contract.stages import RUNNABLE_STAGES, STAGES, stage_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Choice, column
from forge_desktop.theme.language import labelled, sentences, tr, word
from forge_desktop.theme.later import Later
from forge_desktop.wizard.fields import FoldedForm, Make, SettingField


class StageField(SettingField):
    """The stage; those that cannot run yet are greyed and say why."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        super().__init__(draft, path, lambda: stage_text(draft))
        self.edited.connect(self._forget_loss)

    @Slot()
    def _forget_loss(self) -> None:
        """A loss that the new stage does not know gives way to its usual one."""
        if self._draft.get("objective.loss") not in ("auto", *stage_of(str(self._draft.get("stage"))).losses):
            self._draft.set("objective.loss", "auto")

    def _limit_choices(self, made: Choice, choices: list[str]) -> None:
        for value in choices:
            stage = STAGES.get(value)
            if stage is not None:
                said = word("learns", value) if stage.runs else word("stage_missing", stage.missing)
                made.tell(value, said, stage.runs)


def stage_text(draft: DraftModel) -> str:
    """What the chosen stage learns, and from which rows."""
    stage = STAGES.get(str(draft.get("stage")))
    if stage is None:
        return ""
    if not stage.runs:
        return word("stage_missing", stage.missing)
    forms = tr(", ").join(word("choice", form) for form in stage.formats)
    return sentences(word("learns", stage.name), labelled(tr("Learns from"), forms))


class StageChoice(SettingField):
    """The loss, or what becomes of long rows: the choices that the stage knows."""

    def __init__(self, stage: str, draft: DraftModel, path: str) -> None:
        self._stage = stage_of(stage)
        super().__init__(draft, path)

    def _limit_choices(self, made: Choice, choices: list[str]) -> None:
        for value in choices:
            if not self._knows(value):
                made.removeItem(made.findData(value))

    def _segments(self, choices: list[str]) -> tuple[QWidget, Callable[[Any], object]]:
        return super()._segments([value for value in choices if self._knows(value)])

    def _knows(self, value: str) -> bool:
        if self.path == "objective.loss":
            return value in ("auto", *self._stage.losses)
        return value != "split" or self._stage.splits


class StageFold(FoldedForm):
    """Settings of one stage."""

    def __init__(
        self,
        draft: DraftModel,
        stage: str,
        title: str,
        paths: list[str],
        name: str,
        about: Callable[[], str] | None = None,
        special: Mapping[str, Make] | None = None,
    ) -> None:
        self._stage = stage
        super().__init__(draft, title, paths, f"wizard.fold.{name}.{stage}", about, special)

    def owns(self, path: str) -> bool:
        """Only the chosen stage's are at hand."""
        return str(self._draft.get("stage")) == self._stage and super().owns(path)


class StageFolds(QWidget):
    """The settings of the chosen stage; those of another are made when it is chosen."""

    def __init__(self, draft: DraftModel, stages: Iterable[str], make: Callable[[DraftModel, str], QWidget]) -> None:
        super().__init__()
        self._draft = draft
        self._folds = {name: Later(partial(make, draft, name)) for name in stages}
        for fold in self._folds.values():
            fold.hide()
        self.setLayout(column(*self._folds.values()))
        draft.changed.connect(self._follow)
        self._follow("")

    def prepare(self) -> None:
        """One of these stages was chosen just now."""

    @Slot(str)
    def _follow(self, path: str) -> None:
        chosen = str(self._draft.get("stage"))
        if chosen in self._folds:
            if path == "stage":
                self.prepare()
            self._folds[chosen].made()
        for name, fold in self._folds.items():
            fold.setVisible(name == chosen)
        if chosen not in self._folds or self.parentWidget() is not None:  # without a parent it would be a window
            self.setVisible(chosen in self._folds)


class ObjectiveFold(StageFold):
    """The settings of one stage's loss."""

    def __init__(self, draft: DraftModel, stage: str) -> None:
        declared = stage_of(stage)
        paths = [f"head.{name}" for name in declared.head] + [f"objective.{name}" for name in declared.settings]
        choice = partial(StageChoice, stage)
        special = {"objective.loss": choice, "objective.truncation": choice}
        title = tr("Classes, vectors, scores") if declared.head else tr("Loss function")
        super().__init__(draft, stage, title, paths, "objective", self._said, special)

    def _said(self) -> str:
        loss = str(self._draft.get("objective.loss"))
        losses = stage_of(self._stage).losses
        return word("choice", losses[0] if loss == "auto" and losses else loss)


def objective_folds(draft: DraftModel) -> StageFolds:
    """Those of each stage that can run and has a choice."""
    return StageFolds(draft, [name for name in RUNNABLE_STAGES if stage_of(name).settings], ObjectiveFold)
