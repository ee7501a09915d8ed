"""Going on from a checkpoint: which one, and whether it still belongs to this model, these rows and this recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.compute.worker.checkpoints import Damaged, verified
from engine.compute.worker.reporter import Reporter
from engine.contract.checkpoints import Identity, Manifest, ResumePoint
from engine.contract.errors import UserError
from engine.contract.run_spec import AttemptOrder, TrainJob

EXACT = ("torch", "transformers", "peft", "processor", "device", "threads", "members")
"""What must be the same for the curve to go on bit for bit."""


@dataclass(frozen=True)
class Start:
    """The checkpoint an attempt goes on from."""

    point: ResumePoint
    folder: Path
    manifest: Manifest


def choose(order: AttemptOrder, run_folder: Path, report: Reporter) -> Start | None:
    """The first whole checkpoint of the order; None to start over (or if none was asked for)."""
    reasons = []
    for point in order.resume:
        folder = _inside(run_folder, point.path)
        try:
            manifest = verified(folder)
        except Damaged as error:
            reasons.append(f"{point.path}: {error.detail}")
            report.note(
                "checkpoint.skipped", "warning", attempt=point.attempt, step=point.step, detail=error.detail
            )  # fmt: skip
            continue
        report.note("checkpoint.going_on", attempt=point.attempt, step=manifest.step)
        return Start(point, folder, manifest)
    if order.resume and order.resume_required:
        raise UserError("checkpoint.none_good", detail=" ".join(reasons))
    if order.resume:
        report.note("checkpoint.from_start", "warning")
    return None


def check_identity(start: Start, ours: Identity, job: TrainJob) -> None:
    """Refuse a checkpoint of another tuner, model, dataset or teacher."""
    theirs, tuner = start.manifest, job.tuner.kind
    if theirs.tuner != tuner:
        raise UserError("checkpoint.tuner_changed", theirs=theirs.tuner, ours=tuner)
    if theirs.identity.model != ours.model:
        raise UserError("checkpoint.model_changed", path=job.model.path)
    if theirs.identity.data != ours.data:
        raise UserError("checkpoint.data_changed")
    if theirs.identity.teacher and theirs.identity.teacher != ours.teacher:  # earlier versions did not look
        raise UserError("checkpoint.teacher_changed", path=job.teacher.path)


def differences(start: Start, environment: dict[str, Any]) -> list[str]:
    """What is other than when the checkpoint was made and may change the last bits of a sum."""
    theirs = {"members": 1, **start.manifest.environment}
    return [
        f"{name} {theirs.get(name)} → {environment.get(name)}"
        for name in EXACT
        if theirs.get(name) != environment.get(name)
    ]


def _inside(run_folder: Path, relative: str) -> Path:
    """A checkpoint lies in its run's folder, all links followed; anything else is not looked at."""
    path = Path(os.path.realpath(run_folder / relative))
    if not path.is_relative_to(os.path.realpath(run_folder)):
        raise UserError("checkpoint.none_good", detail=f"'{relative}' lies outside the run.")
    return path
