"""What memory a pass takes: two over the longest batch before the first step, or one of a step that trains anyway.

Training notices neither.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from engine.compute.training.batches import Batch, BatchLoader, parts_of
from engine.compute.training.checkpoint import Chance
from engine.compute.training.ledger import TensorLedger
from engine.compute.training.loss import next_token_targets
from engine.compute.training.objectives import Objective
from engine.compute.training.packs import FIRSTS, FLAT
from engine.compute.training.trainer import ForgeTrainer

CAPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container finds its limit."""


@dataclass(frozen=True)
class LongestBatch:
    """What fills memory most, or another batch to look at."""

    batch: Batch
    trained: float
    """Share of its tokens that are learned."""

    @classmethod
    def of(cls, batch: Batch) -> LongestBatch:
        """With what is learned of it."""
        learned = int(next_token_targets(batch["labels"])[1].numel())
        return cls(batch, learned / max(1, batch["labels"].numel()))

    @property
    def rows(self) -> int:
        """How many pass through the model, or how many sequences where rows share some."""
        return parts_of(self.batch) if FIRSTS in self.batch else int(self.batch["labels"].shape[0])

    @property
    def width(self) -> int:
        """Tokens of each, filling included; of rows behind each other their mean."""
        width = int(self.batch["labels"].shape[1])
        return -(-width // self.rows) if FLAT in self.batch else width


def longest_batch(loader: BatchLoader, objective: Objective | None = None, members: int = 1) -> LongestBatch:
    """The longest rows side by side: no batch of any epoch takes more, nor the share of one of several members."""
    if loader.plan.room is not None:
        chosen = max(loader.order(), key=len, default=[]) if loader.plan.kept else loader.order()[0]
    else:
        lengths = np.asarray(loader.pool.lengths)
        size = min(-(-loader.size // members), len(lengths))
        chosen = np.argpartition(lengths, len(lengths) - size)[len(lengths) - size :].tolist()
    batch = loader.together(loader.pool.fetch(chosen))
    batch = batch if objective is None else objective.fullest(batch)
    return LongestBatch.of(batch)


def measure(trainer: ForgeTrainer, model: Any, longest: LongestBatch) -> int:
    """Bytes of tensors at the fullest moment of a pass, the optimiser's state aside.

    Chance, weights and optimiser are afterwards as before, and there are no gradients. Where a step gathers several
    micro batches the second pass finds the gradients of the first, as it will in training.
    """
    chance, parameters, told = Chance.now(), list(model.parameters()), trainer.figures.state()
    part = trainer.cut(longest.batch)[0]
    gathers = trainer.parts > 1 or trainer.args.gradient_accumulation_steps > 1
    count = torch.tensor(max(1, trainer.objective.count(part)), device=trainer.args.device)
    try:
        _pass(trainer, model, part, count)  # what is made once is made now
        if not gathers:
            _forget(parameters)
        with counted(model, trainer.args.device) as found:
            _pass(trainer, model, part, count)
        return found.tensors
    finally:
        _forget(parameters)
        trainer.figures.load(told)
        chance.restore()


@dataclass
class Counted:
    """What a pass took."""

    tensors: int = 0
    """Bytes at its fullest moment, weights and gradients with it; known once it is over."""


@contextlib.contextmanager
def counted(model: Any, device: torch.device) -> Iterator[Counted]:
    """Around a pass: tensors are counted one by one, on a GPU by its allocator's own books."""
    known = [*model.parameters(), *model.buffers()]
    known += [one.grad for one in known if one.grad is not None]
    found = Counted()
    if device.type == "cuda":  # pragma: no cover - needs a GPU
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        torch.cuda.synchronize()
        found.tensors = int(_bytes(known) + torch.cuda.max_memory_allocated() - before)
        return
    with TensorLedger(known) as ledger:
        yield found
    found.tensors = int(ledger.peak)


class StepLook:
    """Looks at one part of the second batch that trains: it costs no pass of its own, and is most often the longest.

    Where a step gathers several parts it is one that finds gradients of another, as nearly all of them do.
    """

    SECOND = 2

    def __init__(self, trainer: ForgeTrainer, tell: Callable[[LongestBatch, int], None]) -> None:
        self._trainer, self._tell = trainer, tell
        self._batches = 0
        self.most = 0
        """Bytes a GPU's allocator had at most before it was looked at anew."""

    @contextlib.contextmanager
    def at(self, model: Any, batch: Batch, place: int, parts: int) -> Iterator[None]:
        """Around the pass of a part: `place` of so many."""
        self._batches += place == 0
        if self._batches != self.SECOND or place != min(1, parts - 1):
            yield
            return
        self._batches += 1
        device = self._trainer.args.device
        if device.type == "cuda":  # pragma: no cover - needs a GPU
            self.most = torch.cuda.max_memory_allocated()
        with counted(model, device) as found:
            yield
        self._tell(LongestBatch.of(batch), found.tensors)


def room(device: str) -> int:
    """Bytes this process may still grow to: free ones and its own, inside what the system lets it have."""
    if device == "cuda":  # pragma: no cover - needs a GPU
        return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())
    most = int(psutil.virtual_memory().available + psutil.Process().memory_info().rss)
    for file in CAPS:
        with contextlib.suppress(OSError, ValueError):  # "max", or another system
            most = min(most, int(file.read_text()))
    return most


def optimiser_bytes(trainer: ForgeTrainer) -> int:
    """Bytes of the optimiser's state, where it has one."""
    states = (trainer.optimizer.state if trainer.optimizer is not None else {}).values()
    tensors = [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
    return _bytes(tensors)


def tensor_bytes(model: Any) -> int:
    """Bytes of weights and buffers."""
    return _bytes((*model.parameters(), *model.buffers()))


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _pass(trainer: ForgeTrainer, model: Any, part: Batch, count: torch.Tensor) -> None:
    """Forward and backward, as a step does it."""
    model.train()
    inputs = trainer._prepare_inputs(part)
    loss = trainer.compute_loss(model, inputs, num_items_in_batch=count)
    trainer.accelerator.backward(loss)


def _forget(parameters: list[torch.Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None
