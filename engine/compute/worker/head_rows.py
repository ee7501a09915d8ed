"""What must be known of the rows before a model without text is loaded: its classes, and that there is something to
compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.compute.data.labels import Labels, check, gather, named, unbalanced
from engine.compute.data.loading import Loaded
from engine.compute.worker.reporter import Reporter
from engine.contract.errors import UserError
from engine.contract.heads import COMPARING
from engine.contract.run_spec import TrainJob
from engine.contract.stages import loss_of, stage_of

LOOKED = 256


def learned_labels(
    job: TrainJob, train: Sequence[Loaded], measured: Sequence[Loaded], report: Reporter
) -> Labels | None:
    """The classes of the run; None for a stage without classes. Rows that do not suit are refused here."""
    stage = stage_of(job.stage)
    if "labels" not in stage.head:
        if stage.head and loss_of(stage, job.objective.loss) in COMPARING and job.training.micro_batch_size == 1:
            _refuse_alone(train, job.head.negatives)
        return None
    head, sets = job.head, [loaded.content for loaded in train]
    if any(row.teaches != "class" for rows in (*sets, *(one.content for one in measured)) for row in rows.typical()):
        return Labels(head.problem)  # what the stage says of such rows comes later, and is clearer
    labels, counts = gather(head.problem, head.labels, sets, head.class_weights == "auto")
    check(labels, [*sets, *(loaded.content for loaded in measured)])
    if labels.names:
        report.note("heads.labels", count=len(labels.names), names=named(labels.names))
    seen = unbalanced(labels.names, counts) if head.class_weights == "none" else None
    if seen is not None:
        report.note("heads.unbalanced", "warning", **seen)
    return labels


def _refuse_alone(train: Sequence[Loaded], negatives: int) -> None:
    """One row at once, and rows that bring nothing to compare with."""
    for loaded in train:
        for row in loaded.content.examples(range(min(LOOKED, len(loaded.content)))):
            if row.texts and (len(row.texts) < 3 or not negatives):
                raise UserError("heads.no_negatives", line=row.line)


def head_of(job: TrainJob, labels: Labels | None) -> dict[str, Any]:
    """What the config of a model says of its head."""
    if labels is None or not labels.names:
        return {"num_labels": 1, **({"problem_type": "regression"} if labels is not None else {})}
    problem = {"single_label": "single_label_classification", "multi_label": "multi_label_classification"}
    return {
        "id2label": dict(enumerate(labels.names)), "label2id": {name: n for n, name in enumerate(labels.names)},
        "problem_type": problem[job.head.problem],
    }  # fmt: skip
