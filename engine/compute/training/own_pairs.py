"""Learning to prefer the better of its own answers: online DPO (arXiv 2402.04792), with trl's arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.data.questions import Answer, Asked
from engine.compute.training.batches import Batch
from engine.compute.training.objectives import Told, halves, token_likelihoods
from engine.compute.training.online import Online
from engine.compute.training.preferences import TELLS


class OwnPairs(Online):
    """Of the answers to a question the best against the worst; questions whose answers are worth alike teach nothing.

    trl learns from pairs of the same reward as well, as if the first answer were the better one.
    """

    tells = (*TELLS, *Online.tells)

    @property
    def beta(self) -> float:
        """How much a preference weighs."""
        return self.config.beta if self.config.beta is not None else self.stage.beta or 0.1

    def learned(
        self,
        model: Any,
        questions: Sequence[Sequence[Asked]],
        answers: Sequence[Answer],
        rewards: torch.Tensor,
        told: dict[str, torch.Tensor],
    ) -> tuple[list[Batch], torch.Tensor]:
        """Pairs, the better answers first."""
        del told
        each, made, at = self.rollouts.answers, list[Batch](), 0
        totals, worth = rewards.tolist(), torch.zeros(len(answers))
        for rows in questions:
            chosen, rejected = list[int](), list[int]()
            for _ in rows:
                best, worst = best_and_worst(totals[at : at + each])
                chosen.append(at + best)
                rejected.append(at + worst)
                at += each
            differ = [float(totals[one] > totals[other]) for one, other in zip(chosen, rejected, strict=True)]
            for one, other, weight in zip(chosen, rejected, differ, strict=True):
                worth[one], worth[other] = weight, -weight
            made.append(self._pairs(model.device, rows, [answers[place] for place in (*chosen, *rejected)], differ))
        return made, worth

    def _pairs(
        self, device: torch.device, rows: Sequence[Asked], answers: Sequence[Answer], weights: Sequence[float]
    ) -> Batch:
        made = self._sequences(device, [*rows, *rows], answers)
        lengths = [len(row.ids) + len(one.ids) for row, one in zip([*rows, *rows], answers, strict=True)]
        return {
            **made, "lengths": torch.tensor(lengths, device=device), "weights": torch.tensor(weights, device=device),
        }  # fmt: skip

    def fullest(self, batch: Batch) -> Batch:
        """Two answers of the longest kind to each question."""
        rows = list[Asked](batch["asked"])
        answers = [Answer([1] * row.room, "", True) for row in [*rows, *rows]]
        return self._pairs(torch.device("cpu"), rows, answers, [1.0] * len(rows))

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over pairs; the reference is asked first, so that nothing waits in memory meanwhile."""
        ids, labels, weights = batch["input_ids"], batch["labels"], batch["weights"]

        def ask(asked: Any) -> torch.Tensor:
            with self.autocast():
                return token_likelihoods(asked, ids, labels, selective).sum(1)

        assert self.reference is not None
        theirs: torch.Tensor = self.reference(model, ask)
        ours = token_likelihoods(model, ids, labels, selective).sum(1)
        chosen, rejected = halves(ours - theirs)
        gap = chosen - rejected
        losses = (gap - 1 / (2 * self.beta)) ** 2 if self.kind == "ipo" else -F.logsigmoid(self.beta * gap)
        one, other = self.beta * chosen.detach(), self.beta * rejected.detach()
        values = (one, other, one - other, (one > other).float(), *halves(ours.detach()))
        return (losses * weights).sum(), {
            **dict(zip(TELLS, values, strict=True)), "kl": (ours - theirs).detach(),
        }  # fmt: skip


def best_and_worst(totals: Sequence[float]) -> tuple[int, int]:
    """Places of the first that is best and of the last that is worst, of those that were judged."""
    judged = [place for place, total in enumerate(totals) if not math.isnan(total)] or [0]
    best = max(judged, key=lambda place: (totals[place], -place))
    return best, min(judged, key=lambda place: (totals[place], -place))
