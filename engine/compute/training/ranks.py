"""Learning to give a query and a document a number, by which documents are put in order."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import Batch, rows_of
from engine.compute.training.objectives import Objective, Told
from engine.compute.training.scores import scores_of

LEAST = float("-inf")


class Ranks(Objective):
    """The right document's score above each wrong one's (pairwise), above all at once (listwise), or each by itself."""

    tells = ("accuracy", "scores/right", "scores/others")

    def selects(self, model: Any) -> bool:
        """There are no logits of tokens."""
        del model
        return True

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the queries; of each the mean over its documents."""
        del selective
        found, rows = scores_of(model, batch), rows_of(batch)
        table = torch.full((rows, int(batch["slot"].max()) + 1), LEAST, device=found.device)
        table = table.index_put((batch["owner"], batch["slot"]), found)
        there = torch.zeros_like(table, dtype=torch.bool)
        there[batch["owner"], batch["slot"]] = True
        right, others, wrong = table[:, :1], table[:, 1:], there[:, 1:]
        if self.kind == "listwise":
            losses = -F.log_softmax(table, dim=1)[:, 0]
        elif self.kind == "pointwise":
            wanted = torch.zeros_like(table)
            wanted[:, 0] = torch.nan_to_num(batch["alike"].to(table.dtype), nan=1.0)
            known = table.masked_fill(~there, 0.0)
            each = F.binary_cross_entropy_with_logits(known, wanted, reduction="none").masked_fill(~there, 0.0)
            losses = each.sum(1) / there.sum(1)
        else:
            gap = (right - others.masked_fill(~wrong, 0.0)).masked_fill(~wrong, 0.0)
            losses = -F.logsigmoid(gap).masked_fill(~wrong, 0.0).sum(1) / wrong.sum(1).clamp(min=1)
        with torch.no_grad():
            told: dict[str, torch.Tensor] = {"scores/right": right.squeeze(1)}
            compared = wrong.any(1)
            if compared.any():
                told["scores/others"] = others[wrong]
                told["accuracy"] = (right.squeeze(1)[compared] > others[compared].max(1).values).float()
        return losses.sum(), told
