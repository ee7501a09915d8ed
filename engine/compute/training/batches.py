"""Batches as the trainer takes them: rows side by side, in the order that seed and epoch make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from engine.compute.data.pool import RowPool
from engine.compute.data.preference import Row, side_by_side
from engine.compute.data.questions import Asked
from engine.compute.data.tokenise import Encoded
from engine.compute.training import packs
from engine.compute.training.order import Batches, Plan, epoch_order, epoch_size, repeated
from engine.contract.packing import Packing

IGNORED = packs.IGNORED
AHEAD = 4
"""Batches tokenised in advance when rows are tokenised while training."""
Batch = dict[str, Any]
"""Tensors by name; of a batch of questions `asked` holds the questions themselves."""
REFERENCE = "reference"
"""In a batch of pairs: what the reference makes of each row of tokens, where it was asked beforehand."""
PLACES = "places"
"""In a batch: which row of the pool each row is."""


def filling_multiple(device: torch.device) -> int:
    """Row widths are filled up to a multiple of this: GPUs want 8, processors lose by any filling."""
    return 8 if device.type == "cuda" else 1


def collate(rows: Sequence[Row], pad: int, multiple: int = 8) -> Batch:
    """Rows side by side, filled at the right; labels are -100 where nothing is learned.

    There is no attention mask: filling stands behind everything, and a causal model never looks ahead.
    """
    asked = [row for row in rows if isinstance(row, Asked)]
    sequences, extras = ([row.sides[0][1] for row in asked], {}) if asked else side_by_side(rows)
    width = max((len(row) for row in sequences), default=0)
    width = -(-max(width, 1) // multiple) * multiple
    ids = np.full((len(sequences), width), pad, dtype=np.int64)
    labels = np.full((len(sequences), width), IGNORED, dtype=np.int64)
    for number, row in enumerate(sequences):
        values = np.frombuffer(row.ids, dtype=np.int32)
        ids[number, : len(row)] = values
        labels[number, : len(row)] = np.where(np.frombuffer(row.trained, dtype=np.int8) == 1, values, IGNORED)
    batch = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
    batch |= {name: torch.tensor(values) for name, values in extras.items()}
    if asked:
        return {**batch, "asked": asked}
    return batch | _places(rows)


def _places(rows: Sequence[Row]) -> Batch:
    """Whose loss it is, for those who keep the losses of single rows."""
    places = [getattr(row, "place", -1) for row in rows]
    return {PLACES: torch.tensor(places)} if places and places[0] >= 0 else {}


OF_TEXTS = ("input_ids", "labels", "owner", "slot", "ends", "same")
"""In a batch whose rows have several texts each: what there is of every text. `owner` says of which row it is."""


def rows_of(batch: Batch) -> int:
    """How many rows of the dataset a batch holds; where `lengths` stand, two rows of tokens for each."""
    if packs.FIRSTS in batch:
        return len(batch[packs.FIRSTS])
    if "owner" in batch:
        return len(batch["alike"])
    return len(batch["labels"]) // (2 if "lengths" in batch else 1)


def parts_of(batch: Batch) -> int:
    """Into how many parts a batch can be cut: its rows, or the sequences that they share."""
    return packs.parts_of(batch) if packs.FIRSTS in batch else rows_of(batch)


def rows_between(batch: Batch, begin: int, end: int) -> Batch:
    """Some of the rows of a batch, or of its sequences where rows share them."""
    if packs.FIRSTS in batch:
        return packs.between(batch, begin, end)
    if "owner" in batch:
        chosen = (batch["owner"] >= begin) & (batch["owner"] < end)
        part = {name: tensor[chosen] if name in OF_TEXTS else tensor[begin:end] for name, tensor in batch.items()}
        return {**part, "owner": part["owner"] - begin}
    rows, halves = rows_of(batch), {"input_ids", "labels", "lengths", REFERENCE} if "lengths" in batch else set()
    end = min(end, rows)
    return {
        name: torch.cat([tensor[begin:end], tensor[rows + begin : rows + end]]) if name in halves else tensor[begin:end]
        for name, tensor in batch.items()
    }


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
        kept: bool = False,
        buffer: int | None = None,
        repeat: tuple[int, int] | None = None,
        packing: Packing = "none",
        room: int = 0,
    ) -> None:
        """`repeat`: each so many batches come so many times, one after the other.

        `room`: tokens of a sequence that packed rows share.
        """
        self.pool, self.repeat = pool, repeat
        self.groups = [(group.rows, group.weight) for group in pool.groups]
        self.pad, self.size, self.multiple = pad, size, multiple
        self.packing = packing
        self.plan = Plan(size, seed, by_length, kept, buffer, room if packing == "packed" else None)
        self.dataset = Indices(epoch_size(self.groups))
        """Counted by the trainer, and fetched from when an epoch is entered midway."""
        self.sampler = None
        self.prefetch_factor = None
        self.batch_sampler = EpochOrder(self)
        self.epoch = 0
        self.tokens = 0
        """Tokens handed out so far, filling not counted."""
        self._packed: int | None = None
        if self.plan.room is not None:
            self._packed = len(epoch_order(self.groups, pool.lengths, self.plan, 0))

    def __len__(self) -> int:
        count = -(-len(self.dataset) // self.size) if self._packed is None else self._packed
        return count if self.repeat is None else len(repeated(count, *self.repeat))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch the next iteration gives."""
        self.epoch = epoch

    def order(self) -> Batches:
        """The batches of this epoch as row indices."""
        found = epoch_order(self.groups, self.pool.lengths, self.plan, self.epoch)
        return found if self.repeat is None else found.pick(repeated(len(found), *self.repeat))

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._ahead() if self.pool.lazy else map(self.pool.fetch, self.order()):
            yield self._batch(rows)

    def collate_fn(self, indices: Sequence[int]) -> Batch:
        """A batch from its row numbers, for a loader that skips those before it."""
        return self._batch(self.pool.fetch(indices))

    def _batch(self, rows: Sequence[Row]) -> Batch:
        self.tokens += sum(row.tokens for row in rows if not isinstance(row, Asked))
        return self.together(rows)

    def together(self, rows: Sequence[Row]) -> Batch:
        """Rows as a batch, laid out as this run has them; they count as none that were handed out."""
        if self.packing == "none":
            return collate(rows, self.pad, self.multiple)
        texts = [row for row in rows if isinstance(row, Encoded)]
        return packs.lay_out(texts, self.plan.room, self.pad, self.multiple) | _places(rows)

    def _ahead(self) -> Iterator[list[Row]]:
        """Rows tokenised by a thread while the model works on the batches before them."""
        order = self.order()
        executor = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        try:
            waiting = [executor.submit(self.pool.fetch, indices) for indices in order[:AHEAD]]
            for indices in order[AHEAD:]:
                yield waiting.pop(0).result()
                waiting.append(executor.submit(self.pool.fetch, indices))
            for future in waiting:
                yield future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)  # one that hangs must not hold up a stop
