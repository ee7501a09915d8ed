"""The teacher of the stages that learn from another model."""

from __future__ import annotations

from engine.contract.teacher import TeacherConfig
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.language import tr
from forge_desktop.wizard.stage_fields import StageFold


def teacher_fold(draft: DraftModel, stage: str) -> StageFold:
    """Where the teacher comes from, and how its predictions are compared."""
    paths = [f"teacher.{name}" for name in TeacherConfig.model_fields]
    return StageFold(draft, stage, tr("Teacher"), paths, "teacher", lambda: str(draft.get("teacher.path")))
