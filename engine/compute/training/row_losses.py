"""The loss of each row of each step, taken from the losses of tokens that are there already.

Training does not notice: nothing here is part of the graph, and no value goes from the device to the processor before
`collect` is called for what has gathered over several steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from engine.compute.training import packs
from engine.compute.training.batches import PLACES, Batch
from engine.compute.training.loss import Tell
from engine.contract.row_losses import LOSS


@dataclass
class _Part:
    """What a pass through the model told of its rows."""

    places: torch.Tensor
    losses: torch.Tensor
    tokens: torch.Tensor


class RowLosses:
    """Gathers what the passes of a step tell."""

    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted
        """Of the step that is being done; a thinned out record leaves steps out."""
        self._places: torch.Tensor | None = None
        self._batch: Batch = {}
        self._step = list[_Part]()
        self._steps = list[tuple[int, list[_Part]]]()
        self.held = 0
        """Records that wait to be collected."""
        self.batches = list[Batch]()
        """Of the steps that were not collected yet, as the loader gave them: rows are described by them."""

    def begin(self, batch: Batch) -> None:
        """A batch goes through the model now."""
        self._places = batch.get(PLACES) if self.wanted else None
        if self._places is not None:
            self.batches.append(batch)
            self._batch = batch

    def end(self) -> None:
        """It is through."""
        self._places = None

    @property
    def taking(self) -> Tell | None:
        """Who takes the losses of tokens, where somebody does."""
        return self._take if self._places is not None else None

    def _take(self, mask: torch.Tensor, losses: torch.Tensor) -> None:
        assert self._places is not None
        if packs.FIRSTS in self._batch:
            self._step.append(_Part(self._places, *packs.sums(self._batch, mask, losses)))
            return
        spread = torch.zeros(mask.shape, dtype=losses.dtype, device=losses.device).masked_scatter_(mask, losses)
        self._step.append(_Part(self._places, spread.sum(1), mask.sum(1)))

    def describe(self, batches: list[Batch]) -> None:
        """Whole batches, of whose rows other members tell."""
        if self.wanted:
            self.batches += [batch for batch in batches if PLACES in batch]

    def hand_over(self) -> list[list[list[float]]]:
        """What the passes of this step told, as plain data for the first member."""
        found = [[part.places.tolist(), part.losses.tolist(), part.tokens.tolist()] for part in self._step]
        self._step, self.batches = [], []
        return found

    def take_over(self, parts: list[list[list[float]]]) -> None:
        """What another member handed over."""
        for places, losses, tokens in parts if self.wanted else ():
            self._step.append(_Part(torch.tensor(places), torch.tensor(losses), torch.tensor(tokens)))

    def stepped(self, step: int) -> None:
        """The passes since the last call were this step."""
        if self._step:
            self._steps.append((step, self._step))
            self.held += sum(len(part.places) for part in self._step)
            self._step = []

    @property
    def steps(self) -> int:
        """How many wait to be collected."""
        return len(self._steps)

    def collect(self) -> np.ndarray:
        """Everything that has gathered, as records; it is forgotten here."""
        found = [np.empty(0, LOSS)]
        for step, parts in self._steps:
            for part in parts:
                made = np.empty(len(part.places), LOSS)
                made["step"], made["place"] = step, part.places.numpy()
                made["loss"], made["tokens"] = part.losses.float().cpu().numpy(), part.tokens.cpu().numpy()
                found.append(made)
        self._steps, self.held = [], 0
        self.batches = []
        return np.concatenate(found)


@contextmanager
def keeping(rows: RowLosses | None, batch: Batch) -> Iterator[Batch]:
    """The part of a batch that the model takes; meanwhile the losses of its rows are kept, where they are wanted."""
    content = {name: tensor for name, tensor in batch.items() if name != PLACES and name not in packs.BESIDE}
    if rows is None:
        yield content
        return
    rows.begin(batch)
    try:
        yield content
    finally:
        rows.end()
