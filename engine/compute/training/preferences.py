"""Learning which of two answers is better: DPO, ORPO, CPO and SimPO."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import IGNORED, REFERENCE, Batch, rows_of
from engine.compute.training.objectives import Filled, Objective, Told, halves, token_likelihoods
from engine.compute.training.pair_losses import Compared, Weights, contrastive, direct, odds_ratio

TELLS = (
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
)
SHARE = "token_share"


class _Pairs(Objective):
    """What stages of pairs have in common."""

    tells = TELLS

    @property
    def weights(self) -> Weights:
        """The numbers of the loss."""
        config = self.config
        beta = config.beta if config.beta is not None else self.stage.beta or 0.1
        return Weights(beta, config.label_smoothing, config.discopop_tau)

    def fill(self, model: Any, batches: list[Batch], step: int) -> Filled:
        """Each row is given what its better answer's tokens weigh in the whole micro batch, however that is cut."""
        del model, step
        return Filled([{**batch, SHARE: self._share(batch)} for batch in batches])

    def better_tokens(self, batch: Batch) -> torch.Tensor:
        """How many tokens of better answers the mean of their likelihoods is taken over."""
        return _learned(batch["labels"][: rows_of(batch)]).sum()

    def _share(self, batch: Batch) -> torch.Tensor:
        """Of each row what a token of its better answer weighs: the mean over all tokens, for each of the rows."""
        if SHARE in batch:
            return batch[SHARE]
        rows = rows_of(batch)
        return (rows / self.better_tokens(batch)).expand(rows)

    def _told(self, rewards: torch.Tensor, likelihoods: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of rewards and likelihoods of all answers, the better ones first."""
        chosen, rejected = halves(rewards.detach())
        values = (chosen, rejected, chosen - rejected, (chosen > rejected).float(), *halves(likelihoods.detach()))
        return dict(zip(TELLS, values, strict=True))


class Direct(_Pairs):
    """DPO: to prefer the better answer more than the reference does (arXiv 2305.18290), with trl's other losses."""

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """The reference is asked first, so that nothing waits in memory meanwhile."""
        ids, labels, shares = batch["input_ids"], batch["labels"], self._shares(batch)
        theirs: torch.Tensor | None = batch.get(REFERENCE)
        if theirs is None and self.reference is not None:
            theirs = self.reference(model, lambda asked: self.answer_likelihoods(asked, batch, selective))
        tokens = token_likelihoods(model, ids, labels, selective)
        ours = (tokens * shares).sum(1)
        theirs = torch.zeros_like(ours) if theirs is None else theirs
        gained, before = ours - theirs, halves(theirs)
        lengths = halves((labels != IGNORED).sum(1))
        found = Compared(*halves(gained), before[0] - before[1], lengths)
        losses = direct(self.kind, found, self.weights)
        total = losses.sum()
        if self.config.rpo_alpha:
            total = total - self.config.rpo_alpha * (halves(tokens)[0].sum(1) * self._share(batch)).sum()
        return total, self._told(self.weights.beta * gained, ours)

    def answer_likelihoods(self, model: Any, batch: Batch, selective: bool) -> torch.Tensor:
        """What a model that does not learn makes of each answer."""
        with self.autocast():
            found = token_likelihoods(model, batch["input_ids"], batch["labels"], selective)
            return (found * self._shares(batch)).sum(1)

    def _shares(self, batch: Batch) -> torch.Tensor:
        """What each token weighs: less where one answer goes on when the other has ended (LD-DPO)."""
        mask = F.pad((batch["labels"] != IGNORED)[:, 1:], (0, 1)).float()
        if self.config.ld_alpha is None:
            return mask
        chosen, rejected = halves(mask.sum(1))
        shared = torch.minimum(chosen, rejected).repeat(2).unsqueeze(1)
        return torch.where(mask.cumsum(1) <= shared, mask, mask * self.config.ld_alpha)


class Contrastive(_Pairs):
    """CPO (arXiv 2401.08417) and SimPO (arXiv 2405.14734): without a reference, the answer's likelihood beside it."""

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """SimPO and the loss ipo take means over tokens, the others sums."""
        tokens = token_likelihoods(model, batch["input_ids"], batch["labels"], selective)
        counts = _learned(batch["labels"])
        found = tokens.sum(1) / counts if self.kind in ("simpo", "ipo") else tokens.sum(1)
        chosen, rejected = halves(found)
        losses = contrastive(self.kind, chosen - rejected, self.weights, self.config.simpo_gamma)
        alpha = self.stage.cpo_alpha if self.config.cpo_alpha is None else self.config.cpo_alpha
        told = self._told(self.weights.beta * found, found)
        total = losses.sum()
        if alpha:
            likely = halves(tokens)[0].sum(1) * self._share(batch)
            total = total - alpha * likely.sum()
            told["nll_loss"] = -likely.detach()
        return total, told


class OddsRatio(_Pairs):
    """ORPO (arXiv 2403.07691): the better answer is learned, and its odds over the worse one's.

    As trl does, and unlike the paper, the likelihood that is learned is of the question too.
    """

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """One pass: all tokens of the better rows, the answers of the worse ones."""
        ids, labels, rows = batch["input_ids"], batch["labels"], rows_of(batch)
        places = torch.arange(ids.shape[1], device=ids.device)
        inside = places < batch["lengths"].unsqueeze(1)
        whole = torch.where(inside, ids, IGNORED)
        tokens = token_likelihoods(model, ids, torch.cat([whole[:rows], labels[rows:]]), selective)
        answers = F.pad((labels != IGNORED)[:, 1:], (0, 1))
        found = (tokens * answers).sum(1) / answers.sum(1).clamp(min=1)
        odds = odds_ratio(*halves(found))
        ratio = F.logsigmoid(odds)
        likely = tokens[:rows].sum(1) * self._share(batch)
        told = self._told(self.weights.beta * found, found)
        told |= {"nll_loss": -likely.detach(), "log_odds": odds.detach()}
        return -likely.sum() - self.weights.beta * ratio.sum(), told

    def better_tokens(self, batch: Batch) -> torch.Tensor:
        """Those of the questions too."""
        width, lengths = batch["input_ids"].shape[1], batch["lengths"][: rows_of(batch)]
        return (lengths.clamp(max=width) - 1).clamp(min=1).sum()


def _learned(labels: torch.Tensor) -> torch.Tensor:
    """How many tokens of each row are learned."""
    return (labels[:, 1:] != IGNORED).sum(1).clamp(min=1)
