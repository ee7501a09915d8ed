"""Learning to score answers: a reward model."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import Batch
from engine.compute.training.objectives import Objective, Told, halves


class Scores(Objective):
    """The better answer's score above the worse one's (Bradley-Terry), by a margin where the rows have one."""

    tells = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")

    def selects(self, model: Any) -> bool:
        """There are no logits of tokens."""
        del model
        return True

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the pairs."""
        del selective
        chosen, rejected = halves(scores_of(model, batch))
        gap = chosen - rejected
        losses = -F.logsigmoid(gap - batch["margin"] if "margin" in batch else gap)
        if self.config.center_rewards is not None:
            losses = losses + self.config.center_rewards * (chosen + rejected) ** 2
        with torch.no_grad():
            told = dict(zip(self.tells, (chosen, rejected, gap, (chosen > rejected).float()), strict=True))
        return losses.sum(), told


def scores_of(model: Any, batch: Batch) -> torch.Tensor:
    """The number of each row of tokens, at its last one.

    Filling stands behind the rows, and the model looks for the last token that is none: `attention_mask` stays out, for
    a causal model sees no filling.
    """
    found: torch.Tensor = model(input_ids=batch["input_ids"], use_cache=False).logits.squeeze(-1).float()
    return found
