"""What a step makes smaller: the base of every stage's loss, and the loss over tokens (SFT, pretraining)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import Batch, rows_of
from engine.compute.training.loss import Tell, keeps_selected_logits, next_token_targets, summed_loss, trained_logits
from engine.compute.training.packs import POSITIONS
from engine.compute.training.reference import Reference
from engine.contract.heads import HeadConfig
from engine.contract.objective import ObjectiveConfig
from engine.contract.rollouts import RolloutConfig
from engine.contract.stages import Stage, loss_of

Told = Mapping[str, torch.Tensor]
"""Figures of a batch: of each the values whose mean is told, one for each row or pair."""


class Figures:
    """Means of what batches told, since they were last asked for. Sums of 64 bits, so that a checkpoint keeps them."""

    def __init__(self) -> None:
        self._sums = dict[str, tuple[torch.Tensor | float, int]]()

    def add(self, told: Told) -> None:
        """A batch's."""
        for name, values in told.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (values.detach().double().sum() + total, count + values.numel())

    def merge(self, state: Mapping[str, list[float]]) -> None:
        """What another member's batches told."""
        for name, (more, count) in state.items():
            total, before = self._sums.get(name, (0.0, 0))
            self._sums[name] = (float(total) + more, before + int(count))

    def lap(self) -> dict[str, float]:
        """The means, which begin anew."""
        found = {name: float(total) / count for name, (total, count) in self._sums.items() if count}
        self._sums.clear()
        return found

    def state(self) -> dict[str, list[float]]:
        """For a checkpoint."""
        return {name: [float(total), count] for name, (total, count) in self._sums.items()}

    def load(self, state: Mapping[str, list[float]]) -> None:
        """As `state` gave it."""
        self._sums = {name: (float(total), int(count)) for name, (total, count) in state.items()}


@dataclass
class Filled:
    """The micro batches of a step as they are learned from."""

    batches: list[Batch]
    told: Told = field(default_factory=dict)
    tokens: int = 0
    """That came to be beside those the loader gave."""


class Objective(ABC):
    """The loss of a stage. It sees micro batches one by one and gives sums, so that steps of several add up."""

    of_tokens = False
    """The loss is a sum over tokens."""
    tells: tuple[str, ...] = ()
    """What it tells of each step beside the loss."""

    answers = 1
    """Rows that become of one the loader gives."""

    def __init__(self, stage: Stage, config: ObjectiveConfig, rollouts: RolloutConfig = RolloutConfig()) -> None:
        self.stage, self.config, self.rollouts = stage, config, rollouts
        self.kind = loss_of(stage, config.loss)
        self.reference: Reference | None = None
        self.head = HeadConfig()
        self.autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
        """The arithmetic of the run, for passes that the trainer does not make."""
        self.tell: Tell | None = None
        """Who wants to know the loss of each token, where there are such."""

    def compare_with(self, reference: Reference | None) -> None:
        """The model as it was before training; none where nothing is compared."""
        self.reference = reference

    def meet(self, model: Any) -> None:
        """Hook: the model as it is before its first step."""
        del model

    def parameters(self) -> list[torch.nn.Parameter]:
        """Hook: what is trained beside the model."""
        return []

    @property
    def held_bytes(self) -> int:
        """Of models it holds beside the one that learns."""
        return self.reference.bytes if self.reference is not None else 0

    @property
    def beside_bytes(self) -> int:
        """Of those that a forecast by the model's shape leaves out."""
        return 0

    def selects(self, model: Any) -> bool:
        """Whether logits are computed where they are needed only."""
        return keeps_selected_logits(model)

    def count(self, batch: Batch) -> int:
        """How many things the loss of a batch is a sum over; the step's loss is the mean over all of its batches."""
        return rows_of(batch)

    def fill(self, model: Any, batches: list[Batch], step: int) -> Filled:
        """Hook: what is learned from, of what the loader gave for a step; `step` were done before."""
        del model, step
        return Filled(batches)

    def fullest(self, batch: Batch) -> Batch:
        """Hook: of a batch the loader gave, what takes the most memory."""
        return batch

    def measure(self, model: Any, batches: Iterable[Batch]) -> tuple[float, dict[str, float]] | None:
        """Hook: another measurement of validation rows than their mean loss."""
        del model, batches
        return None

    def save(self, folder: Path) -> None:
        """Hook: what it must know after a restart goes into a checkpoint."""
        del folder

    def load(self, folder: Path) -> None:
        """Hook: what `save` wrote."""
        del folder

    def go_back(self, folder: Path) -> None:
        """Hook: what is trained beside the model becomes again what `save` wrote."""
        del folder

    @abstractmethod
    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """The sum over a batch, and what to tell of it."""


class Tokens(Objective):
    """Cross-entropy of each learned token; `dft` weighs each by how likely it is already (arXiv 2508.05629)."""

    of_tokens = True

    def count(self, batch: Batch) -> int:
        """Learned tokens."""
        return int(next_token_targets(batch["labels"])[1].numel())

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the tokens."""
        if self.kind != "dft":
            return summed_loss(model, batch, selective, self.tell), {}
        found = token_likelihoods(model, batch["input_ids"], batch["labels"], selective, batch.get(POSITIONS))
        if self.tell is not None:  # how unlikely a token is, not how much it weighs here
            mask = next_token_targets(batch["labels"])[0]
            self.tell(mask, -found.detach()[mask])
        return -(found.exp().detach() * found).sum(), {}


def token_likelihoods(
    model: Any, ids: torch.Tensor, labels: torch.Tensor, selective: bool, positions: torch.Tensor | None = None
) -> torch.Tensor:
    """Log-likelihood of each learned token, at the place that predicts it and in fp32; 0 at all others."""
    mask, targets = next_token_targets(labels)
    if targets.numel() == 0:
        nothing = sum(
            (p.sum() * 0.0 for p in model.parameters() if p.requires_grad), torch.zeros((), device=ids.device)
        )
        return torch.zeros(mask.shape, device=ids.device) + nothing
    logits = trained_logits(model, ids, mask, selective, positions)
    found = -F.cross_entropy(logits.float(), targets, reduction="none")
    return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, found)


def halves(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a batch of pairs: what belongs to the better answers, and to the worse ones."""
    one, other = tensor.chunk(2)
    return one, other
