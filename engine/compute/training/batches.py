"""The order of an epoch's rows, and the batches they form: a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import Dataset

from engine.compute.data.pool import RowPool
from engine.compute.data.tokenise import Encoded

IGNORED = -100
POOL = 50
"""Batches whose rows are sorted together when rows are grouped by length."""
AHEAD = 4
"""Batches tokenised in advance when rows are tokenised while training."""
Batch = dict[str, torch.Tensor]


def epoch_rows(groups: Sequence[tuple[int, float]], seed: int, epoch: int) -> np.ndarray:
    """Indices of an epoch's rows before shuffling; `groups` holds each source's rows and weight.

    A weight of 2 takes each row twice, one of 0.5 every second; what is left over is a choice that the seed and
    the epoch make. Every epoch has the same number of rows.
    """
    parts, begin = [], 0
    for number, (rows, weight) in enumerate(groups):
        whole, rest = divmod(round(rows * weight), rows) if rows else (0, 0)
        generator = np.random.default_rng([seed, epoch, 1, number])
        extra = generator.permutation(rows)[:rest] if rows else np.empty(0, dtype=np.int64)
        parts += [np.tile(np.arange(rows), whole) + begin, np.sort(extra) + begin]
        begin += rows
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)


def epoch_batches(
    rows: np.ndarray, lengths: np.ndarray, size: int, seed: int, epoch: int, by_length: bool
) -> list[list[int]]:
    """The batches of an epoch, as row indices.

    By length: rows are shuffled, sorted inside pools of 50 batches, cut into batches, and the batches shuffled.
    The longest batch goes first, so that memory that is too short shows at once.
    """
    generator = np.random.default_rng([seed, epoch, 0])
    order = generator.permutation(rows)
    if not by_length:
        return [order[at : at + size].tolist() for at in range(0, len(order), size)]
    batches = list[list[int]]()
    for at in range(0, len(order), size * POOL):
        pool = order[at : at + size * POOL]
        pool = pool[np.argsort(-lengths[pool], kind="stable")]
        batches += [pool[start : start + size].tolist() for start in range(0, len(pool), size)]
    shuffled = [batches[index] for index in generator.permutation(len(batches))]
    longest = max(range(len(shuffled)), key=lambda index: max(lengths[row] for row in shuffled[index]), default=0)
    return [shuffled[longest], *shuffled[:longest], *shuffled[longest + 1 :]] if shuffled else []


def filling_multiple(device: torch.device) -> int:
    """Row widths are filled up to a multiple of this: GPUs want 8, processors lose by any filling."""
    return 8 if device.type == "cuda" else 1


def collate(rows: Sequence[Encoded], pad: int, multiple: int = 8) -> Batch:
    """Rows side by side, filled at the right; labels are -100 where nothing is learned.

    There is no attention mask: filling stands behind everything, and a causal model never looks ahead.
    """
    width = max((len(row) for row in rows), default=0)
    width = -(-max(width, 1) // multiple) * multiple
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    labels = np.full((len(rows), width), IGNORED, dtype=np.int64)
    for number, row in enumerate(rows):
        values = np.frombuffer(row.ids, dtype=np.int32)
        ids[number, : len(row)] = values
        labels[number, : len(row)] = np.where(np.frombuffer(row.trained, dtype=np.int8) == 1, values, IGNORED)
    return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}


class Indices(Dataset[int]):  # type: ignore[misc]
    """A dataset of row numbers: what torch's loader wants to fetch from."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        return index


class EpochOrder:
    """The batches of an epoch in the form of torch's batch samplers, so that an epoch can be entered midway."""

    drop_last = False

    def __init__(self, loader: BatchLoader) -> None:
        self._loader = loader
        self.batch_size = loader.size

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._loader.order())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        self._loader.set_epoch(epoch)


class BatchLoader:
    """What the trainer iterates: one epoch's batches, made when they are asked for."""

    def __init__(
        self,
        pool: RowPool,
        *,
        pad: int,
        size: int,
        seed: int,
        by_length: bool,
        multiple: int = 8,
    ) -> None:
        self.pool = pool
        self.groups = [(group.rows, group.weight) for group in pool.groups]
        self.pad, self.size, self.seed, self.by_length, self.multiple = pad, size, seed, by_length, multiple
        self.dataset = Indices(len(epoch_rows(self.groups, seed, 0)))
        """Counted by the trainer, and fetched from when an epoch is entered midway."""
        self.sampler = None
        self.prefetch_factor = None
        self.batch_sampler = EpochOrder(self)
        self.epoch = 0
        self.tokens = 0
        """Tokens handed out so far, filling not counted."""

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch the next iteration gives."""
        self.epoch = epoch

    def order(self) -> list[list[int]]:
        """The batches of this epoch as row indices."""
        rows = epoch_rows(self.groups, self.seed, self.epoch)
        return epoch_batches(rows, self.pool.lengths, self.size, self.seed, self.epoch, self.by_length)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._ahead() if self.pool.lazy else map(self.pool.fetch, self.order()):
            yield self._batch(rows)

    def collate_fn(self, indices: Sequence[int]) -> Batch:
        """A batch from its row numbers, for a loader that skips those before it."""
        return self._batch(self.pool.fetch(indices))

    def _batch(self, rows: Sequence[Encoded]) -> Batch:
        self.tokens += sum(len(row) for row in rows)
        return collate(rows, self.pad, self.multiple)

    def _ahead(self) -> Iterator[list[Encoded]]:
        """Rows tokenised by a thread while the model works on the batches before them."""
        order = self.order()
        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as executor:
            waiting = [executor.submit(self.pool.fetch, indices) for indices in order[:AHEAD]]
            for indices in [*order[AHEAD:], *([None] * AHEAD)]:
                if waiting:
                    yield waiting.pop(0).result()
                if indices is not None:
                    waiting.append(executor.submit(self.pool.fetch, indices))
