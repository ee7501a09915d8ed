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
    learned = int(next_token_targets(batch["labels"])[1].numel())
    return LongestBatch(batch, learned / max(1, batch["labels"].numel()))


def measure(trainer: ForgeTrainer, model: Any, longest: LongestBatch) -> int:
    """Bytes of tensors at the fullest moment of a pass, the optimiser's state aside.

    Chance, weights and optimiser are afterwards as before, and there are no gradients. Where a step gathers several
    micro batches the second pass finds the gradients of the first, as it will in training.
    """
    chance, parameters, told = Chance.now(), list(model.parameters()), trainer.figures.state()
    part = trainer.cut(longest.batch)[0]
    gathers = trainer.parts > 1 or trainer.args.gradient_accumulation_steps > 1
    count = torch.tensor(max(1, trainer.objective.count(part)), device=trainer.args.device)
    known = [*parameters, *model.buffers()]
    try:
        _pass(trainer, model, part, count)  # what is made once is made now
        if not gathers:
            _forget(parameters)
        if trainer.args.device.type == "cuda":
            return _on_gpu(trainer, model, part, count, known)
        with TensorLedger([*known, *(p.grad for p in parameters if p.grad is not None)]) as ledger:
            _pass(trainer, model, part, count)
        return int(ledger.peak)
    finally:
        _forget(parameters)
        trainer.figures.load(told)
        chance.restore()


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
        known = [*model.parameters(), *model.buffers()]
        grads = [one.grad for one in known if one.grad is not None]
        if self._trainer.args.device.type == "cuda":  # pragma: no cover - needs a GPU
            torch.cuda.synchronize()
            before = torch.cuda.memory_allocated()
            self.most = torch.cuda.max_memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            yield
            torch.cuda.synchronize()
            tensors = int(_bytes((*known, *grads)) + torch.cuda.max_memory_allocated() - before)
        else:
            with TensorLedger([*known, *grads]) as ledger:
                yield
            tensors = ledger.peak
        learned = int(next_token_targets(batch["labels"])[1].numel())
        self._tell(LongestBatch(batch, learned / max(1, batch["labels"].numel())), tensors)


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


def _on_gpu(
    trainer: ForgeTrainer, model: Any, part: Batch, count: torch.Tensor, known: list[torch.Tensor]
) -> int:  # pragma: no cover - needs a GPU
    """By the allocator's own books: the most there was in the pass, over what lay there before it."""
    held = _bytes(known) + _bytes(p.grad for p in known if p.grad is not None)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _pass(trainer, model, part, count)
    torch.cuda.synchronize()
    return int(held + torch.cuda.max_memory_allocated() - before)


def _forget(parameters: list[torch.Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None
