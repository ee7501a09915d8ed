"""Rewards, teacher and sampling of the stages that learn from answers of a model: seen while such a stage is chosen."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from engine.contract.stages import STAGES, stage_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import column
from forge_desktop.theme.language import tr, word
from forge_desktop.wizard.rewards_field import RewardsField, default_rewards
from forge_desktop.wizard.stage_fields import StageFold, StageFolds
from forge_desktop.wizard.teacher_fields import teacher_fold


class RolloutFold(StageFold):
    """Some settings of one stage."""

    def __init__(self, draft: DraftModel, stage: str, title: str, names: tuple[str, ...], fold: str) -> None:
        paths, about = [f"rollouts.{name}" for name in names], self._said if "rewards" in names else None
        super().__init__(draft, stage, title, paths, fold, about, {"rollouts.rewards": RewardsField})

    def _said(self) -> str:
        rewards = self._draft.get("rollouts.rewards")
        kinds = [str(one.get("kind")) for one in rewards if isinstance(one, dict)] if isinstance(rewards, list) else []
        return tr(", ").join(word("choice", kind) for kind in kinds)


def _folds(draft: DraftModel, stage: str) -> QWidget:
    """What is rewarded, and how answers are sampled."""
    declared, made, folds = stage_of(stage), QWidget(), list[QWidget]()
    rest = tuple(name for name in declared.rollouts if name != "rewards")
    if declared.samples:
        folds.append(RolloutFold(draft, stage, tr("Rewards"), ("rewards",), "rewards"))
    if declared.teacher:
        folds.append(teacher_fold(draft, stage))
    folds.append(RolloutFold(draft, stage, tr("Own answers"), rest, "rollouts"))
    made.setLayout(column(*folds, spacing=14))
    return made


class RolloutFolds(StageFolds):
    """Those of each stage that learns from its own answers."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__(draft, [name for name, stage in STAGES.items() if stage.rollouts], _folds)

    def prepare(self) -> None:
        """Without any reward nothing is learned."""
        if stage_of(str(self._draft.get("stage"))).samples:
            default_rewards(self._draft)
