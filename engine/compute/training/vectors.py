"""Learning vectors for texts, near each other where the texts belong together."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import Batch, rows_of
from engine.compute.training.objectives import Objective, Told
from engine.contract.heads import HeadConfig

NOWHERE = float("-inf")


class Vectors(Objective):
    """InfoNCE (arXiv 1807.03748) over the second texts of the batch and all negatives; or the cosine of scored pairs.

    A text that is the same as the one that belongs is no negative.
    """

    tells = ("accuracy", "similarity/right", "similarity/others")

    def selects(self, model: Any) -> bool:
        """There are no logits of tokens."""
        del model
        return True

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the pairs."""
        del selective
        found, rows = vectors_of(model, batch, self.head), rows_of(batch)
        first, second, others = found[:rows], found[rows : 2 * rows], found[2 * rows :]
        if self.kind == "cosine":
            cosine = F.cosine_similarity(first, second)
            wanted = batch["alike"].to(cosine.dtype)
            return ((cosine - wanted) ** 2).sum(), {"absolute_error": (cosine - wanted).detach().abs()}
        likeness = first @ torch.cat([second, others]).T
        places = torch.arange(rows, device=found.device)
        same = batch["same"]
        twin = same[rows : 2 * rows, None] == same[None, rows:]
        twin[places, places] = False
        scaled = (likeness / self.head.temperature).masked_fill(twin, NOWHERE)
        losses = F.cross_entropy(scaled, places, reduction="none")
        if self.head.symmetric:
            back = (second @ first.T / self.head.temperature).masked_fill(_twins(same[:rows]), NOWHERE)
            losses = (losses + F.cross_entropy(back, places, reduction="none")) / 2
        with torch.no_grad():
            right = likeness[places, places]
            rest = likeness.masked_fill(twin, NOWHERE)
            rest[places, places] = NOWHERE
            told = {"accuracy": (right > rest.max(1).values).float(), "similarity/right": right}
            known = rest[rest > NOWHERE]
            if len(known):
                told["similarity/others"] = known
        return losses.sum(), told


def _twins(same: torch.Tensor) -> torch.Tensor:
    """Where two different rows have the same first text."""
    found = same[:, None] == same[None, :]
    return found & ~torch.eye(len(same), dtype=torch.bool, device=same.device)


def vectors_of(model: Any, batch: Batch, head: HeadConfig) -> torch.Tensor:
    """A vector for each text of a batch; `ends` are their lengths, behind which filling stands."""
    states = model(input_ids=batch["input_ids"], use_cache=False).last_hidden_state.float()
    ends = batch["ends"]
    if head.pooling == "last":
        found = states[torch.arange(len(states), device=states.device), ends - 1]
    else:
        inside = torch.arange(states.shape[1], device=states.device) < ends[:, None]
        found = (states * inside[..., None]).sum(1) / ends[:, None]
    return F.normalize(found, dim=-1) if head.normalise else found
