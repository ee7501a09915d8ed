"""Held-out pairs: of how many the model finds the better answer better, before and after training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from engine.compute.data.preference import Pair
from engine.compute.inference.base import padding_token
from engine.compute.inference.mode import at_rest
from engine.compute.training.batches import IGNORED, Batch, collate, filling_multiple
from engine.compute.training.loss import keeps_selected_logits
from engine.compute.training.objectives import halves, token_likelihoods
from engine.compute.training.scores import scores_of
from engine.compute.worker.materials import Materials
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.results import PHASES, When, tell_answers
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of


def compare(
    when: When,
    materials: Materials,
    pairs: Sequence[Pair],
    job: TrainJob,
    outputs: Path,
    report: Reporter,
    check_stop: Callable[[], None],
) -> None:
    """Report the share, and write both numbers of each pair."""
    phase = PHASES[when]
    report.phase(phase)
    size, found = job.training.micro_batch_size, list[tuple[float, float]]()
    measure = _measure(materials, stage_of(job.stage).scores)
    with at_rest(materials.model):
        for at in range(0, len(pairs), size):
            check_stop()
            batch = collate(
                pairs[at : at + size], padding_token(materials.tokenizer), filling_multiple(materials.device)
            )
            chosen, rejected = measure({name: tensor.to(materials.device) for name, tensor in batch.items()})
            found += zip(chosen.tolist(), rejected.tolist(), strict=True)
            report.phase(phase, min(1.0, len(found) / len(pairs)))
    name = f"comparisons_{when}.jsonl"
    lines = (json.dumps({"chosen": one, "rejected": other, "correct": one > other}) for one, other in found)
    (outputs / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    report.scored(when, sum(one > other for one, other in found), len(found), name, "pair_accuracy")
    tell_answers(outputs / name, report)


Halves = tuple[torch.Tensor, torch.Tensor]


def _measure(materials: Materials, scores: bool) -> Callable[[Batch], Halves]:
    """Of each answer of a batch its score, or its mean log-likelihood a token, so that short ones win nothing by it."""
    model = materials.model
    selective = not scores and keeps_selected_logits(model)

    def measured(batch: Batch) -> Halves:
        with torch.no_grad():
            if scores:
                return halves(scores_of(model, batch))
            found = token_likelihoods(model, batch["input_ids"], batch["labels"], selective).sum(1)
            return halves(found / (batch["labels"][:, 1:] != IGNORED).sum(1).clamp(min=1))

    return measured
