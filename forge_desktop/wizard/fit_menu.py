"""Recipes named by memory: "LoRA, 8 GB" chooses the method and as many rows at once as fit there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtWidgets import QMenu, QPushButton

from engine.contract.fitting import Fitted, fit
from engine.contract.ladder import Known
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import button
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import size as size_text

SIZES = (8, 12, 16, 24, 48, 80)
GB = 1 << 30


def fit_button(draft: DraftModel, tell: Callable[[str], object]) -> QPushButton:
    """A button with a menu of them; what cannot be had is greyed, with the reason."""
    made = button(tr("Fit to memory"), "default", "memory-stick", name="wizard.fit")
    menu = QMenu(made)
    menu.setToolTipsVisible(True)
    menu.aboutToShow.connect(partial(_fill, menu, draft, tell))
    made.setMenu(menu)
    return made


def _fill(menu: QMenu, draft: DraftModel, tell: Callable[[str], object]) -> None:
    menu.clear()
    unknown = unknown_of(draft)
    for kind in ("lora", "qlora", "full"):
        for size in SIZES:
            text = tr("{method}, {size} GB of GPU memory", method=word("choice", kind), size=size)
            action = menu.addAction(text, partial(take, draft, kind, size, tell))
            if unknown:
                action.setEnabled(False)
                action.setToolTip(unknown)
        menu.addSeparator()


def unknown_of(draft: DraftModel) -> str:
    """Why nothing can be fitted; empty where it can."""
    job = job_of_draft(draft)
    if draft.shape is None or job is None:
        return tr("The model's measures are not known yet, or a setting is wrong.")
    if stage_of(job.stage).teacher and draft.teacher_shape is None:
        return tr("The teacher's measures are not known yet: name one that a look can be taken at.")
    return ""


def job_of_draft(draft: DraftModel) -> TrainJob | None:
    """What is to be trained, where the draft is in order."""
    job = draft.config.to_spec().job if draft.config is not None else None
    return job if isinstance(job, TrainJob) else None


def take(draft: DraftModel, kind: str, size: int, tell: Callable[[str], object]) -> None:
    """Choose the method and what fits; say what it comes to."""
    if draft.get("tuner.kind") != kind:
        draft.set("tuner.kind", kind)
    shape, job = draft.shape, job_of_draft(draft)
    if shape is None or job is None or unknown_of(draft):
        return
    found = fit(job, Known(shape=shape, device="cuda", teacher=draft.teacher_shape), size * GB)
    for path, value in found.changes.items():
        draft.set(path, value)
    tell(said(found, size))


def said(found: Fitted, size: int) -> str:
    """What came of it."""
    total = size_text(found.total)
    if found.fits:
        return tr("Fits into {size} GB: about {total} by the forecast.", size=size, total=total)
    return tr(
        "Does not fit into {size} GB: at the least about {total}. Lower the maximum length, or choose a smaller model.",
        size=size, total=total,
    )  # fmt: skip
