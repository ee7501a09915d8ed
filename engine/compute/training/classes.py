"""Learning to put texts into classes, one or several each, or to give them a number."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import Batch
from engine.compute.training.objectives import Objective, Told


class Classes(Objective):
    """Cross entropy for one class, binary cross entropy for several, the square of the error for a number.

    With class weights each loss is multiplied by its weight, and the step's loss stays the mean over its rows.
    """

    tells = ("accuracy",)

    def selects(self, model: Any) -> bool:
        """There are no logits of tokens."""
        del model
        return True

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the rows."""
        del selective
        found, target = logits_of(model, batch), batch["target"]
        if self.head.problem == "regression":
            error = found.squeeze(-1) - target
            return (error**2).sum(), {"absolute_error": error.detach().abs()}
        if self.head.problem == "multi_label":
            losses = F.binary_cross_entropy_with_logits(found, target, reduction="none")
            right = ((found.detach() > 0) == (target > 0.5)).all(1)
        else:
            smoothing = self.head.label_smoothing
            losses = F.cross_entropy(found, target, reduction="none", label_smoothing=smoothing)
            right = found.detach().argmax(1) == target
        if "weight" in batch:
            losses = losses * batch["weight"]
        if self.head.problem == "multi_label":
            losses = losses.mean(1)
        return losses.sum(), {"accuracy": right.float()}


def logits_of(model: Any, batch: Batch) -> torch.Tensor:
    """What the head says at each row's last token that is no filling; that is for the model to find."""
    found: torch.Tensor = model(input_ids=batch["input_ids"], use_cache=False).logits.float()
    return found
