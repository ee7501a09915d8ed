"""Learning from single answers that were called good or bad: KTO."""

from __future__ import annotations

from typing import Any

import torch

from engine.compute.training.batches import Batch, rows_of
from engine.compute.training.objectives import Objective, Told, token_likelihoods


class Verdicts(Objective):
    """KTO (arXiv 2402.01306): good answers shall gain, bad ones lose, against what answers gain that do not belong.

    As in trl that is measured on the questions of the batch, each with the answer of the row before it.
    """

    tells = ("rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected", "kl")

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Passes that nothing is learned of come first."""
        rows, good = rows_of(batch), batch["verdict"].bool()
        ids, labels = batch["input_ids"], batch["labels"]

        def ask(asked: Any, begin: int, end: int) -> torch.Tensor:
            with self.autocast():
                return token_likelihoods(asked, ids[begin:end], labels[begin:end], selective).sum(1)

        crosses = self.kind == "kto"
        assert self.reference is not None
        theirs = self.reference(model, lambda asked: ask(asked, 0, 2 * rows if crosses else rows))
        crossed = torch.zeros((), device=ids.device)
        if crosses:
            with torch.no_grad():
                crossed = (ask(model, rows, 2 * rows) - theirs[rows:]).mean().clamp(min=0)
        ours = token_likelihoods(model, ids[:rows], labels[:rows], selective).sum(1)
        gained = ours - theirs[:rows]
        losses = torch.where(good, *self._losses(gained, crossed))
        rewards = self._beta * gained.detach()
        told = {
            "rewards/chosen": rewards[good], "rewards/rejected": rewards[~good], "logps/chosen": ours[good],
            "logps/rejected": ours[~good],
        }  # fmt: skip
        if good.any() and not good.all():
            told["rewards/margins"] = (rewards[good].mean() - rewards[~good].mean())[None]
        return losses.sum(), {**told, "kl": crossed.expand(rows)} if crosses else told

    @property
    def _beta(self) -> float:
        return self.config.beta if self.config.beta is not None else self.stage.beta or 0.1

    def _losses(self, gained: torch.Tensor, crossed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each row if it is good, and if it is bad."""
        if self.kind == "kto":
            good = 1 - torch.sigmoid(self._beta * (gained - crossed))
            bad = 1 - torch.sigmoid(self._beta * (crossed - gained))
        else:
            good, bad = 1 - torch.sigmoid(self._beta * gained), torch.sigmoid(self._beta * gained)
        return self.config.desirable_weight * good, self.config.undesirable_weight * bad
