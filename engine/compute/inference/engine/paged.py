"""Keys and values of many sequences in blocks, as a cache that models of transformers write into and read from.

A step names for each row the places its tokens go to and those it attends to. Where one sequence's places lie behind
each other, as they mostly do, they are looked at where they are; else they are gathered, rows side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import Cache, DynamicCache

from engine.compute.inference.engine.blocks import BlockPool


@dataclass(slots=True)
class Row:
    """A sequence in a step."""

    table: Sequence[int]
    begin: int
    """Tokens that are there."""
    count: int
    """Tokens that come."""


@dataclass(slots=True)
class Step:
    """Where the tokens of one pass go, and what each row attends to."""

    width: int
    """Tokens of the longest row."""
    length: int
    """Tokens each row attends to, filling included."""
    writes: torch.Tensor
    """[rows × width]"""
    reads: torch.Tensor | None
    """[rows × length]; None: they lie behind each other from `first` on."""
    first: int
    positions: torch.Tensor
    """[rows, width]"""
    mask: torch.Tensor | None
    """[rows, 1, width, length], true where it is attended to; None: every token sees what is before it."""


class PagedCache(Cache):  # type: ignore[misc]
    """One tensor of keys and one of values for each layer, made when the first token comes."""

    def __init__(self, pool: BlockPool, config: Any) -> None:
        text = config.get_text_config()
        super().__init__(layers=list(DynamicCache(config=text).layers))
        self.pool = pool
        self.keys: list[torch.Tensor | None] = [None] * len(self.layers)
        self.values: list[torch.Tensor | None] = [None] * len(self.layers)
        self.step: Step | None = None

    @property
    def bytes(self) -> int:
        """Of all blocks; on a processor only those that were written take memory."""
        held = [one for one in (*self.keys, *self.values) if one is not None]
        return sum(one.numel() * one.element_size() for one in held)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_rest: Any, **_named: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's tokens to their places; what each row attends to, [rows, heads, length, size]."""
        step = self.step
        assert step is not None
        keys, values = self._held(layer_idx, key_states, value_states)
        heads, size = key_states.shape[1], key_states.shape[3]
        for store, new in ((keys, key_states), (values, value_states)):
            store.index_copy_(0, step.writes, new.transpose(1, 2).reshape(-1, heads, new.shape[3]))
        rows = key_states.shape[0]
        if step.reads is None:
            end = step.first + step.length
            return (
                keys[step.first : end].transpose(0, 1).unsqueeze(0),
                values[step.first : end].transpose(0, 1).unsqueeze(0),
            )
        shape = (rows, step.length, heads)
        return (
            keys.index_select(0, step.reads).view(*shape, size).transpose(1, 2),
            values.index_select(0, step.reads).view(*shape, values.shape[2]).transpose(1, 2),
        )

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Of the longest row, before this step."""
        del layer_idx
        return self.step.length - self.step.width if self.step is not None else 0

    @property
    def is_sliding(self) -> list[bool]:
        """None: the step's mask says what is out of sight."""
        return [False] * len(self.layers)

    def _held(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = self.keys[layer], self.values[layer]
        if keys is None or values is None:
            places = self.pool.count * self.pool.size
            keys = self.keys[layer] = _zeros(key, (places, key.shape[1], key.shape[3]))
            values = self.values[layer] = _zeros(value, (places, value.shape[1], value.shape[3]))
        return keys, values


def _zeros(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """What nobody wrote is read and masked: were it no number, no mask would help.

    On a processor it is memory the system gives as zeros once it is touched: most of it never is.
    """
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(math.prod(shape) * like.element_size(), np.uint8)).view(like.dtype).view(shape)


def plan(rows: Sequence[Row], size: int, device: torch.device) -> Step:
    """The step of these sequences; `size` tokens lie in a block."""
    width, length = max(row.count for row in rows), max(row.begin + row.count for row in rows)
    alone = len(rows) == 1
    blocks = -(-length // size)
    tables = torch.zeros((len(rows), blocks), dtype=torch.long)
    for number, row in enumerate(rows):
        mine = list(row.table[: -(-(row.begin + row.count) // size)])
        tables[number, : len(mine)] = torch.tensor(mine)
    places = (tables.unsqueeze(2) * size + torch.arange(size)).view(len(rows), -1)
    begins = torch.tensor([row.begin for row in rows])
    counts = torch.tensor([row.count for row in rows])
    offsets = torch.arange(width)
    positions = begins.unsqueeze(1) + offsets
    there = offsets < counts.unsqueeze(1)
    positions = torch.where(there, positions, positions.new_zeros(()))
    writes = torch.where(there, places.gather(1, positions), positions.new_zeros(()))  # filling goes to the trash
    in_line = alone and bool((tables[0].diff() == 1).all())
    reads = None if in_line else places[:, :length].reshape(-1).to(device)
    mask = None
    if not alone or (width > 1 and int(begins[0]) > 0):
        seen = torch.arange(length)
        mask = (seen <= positions.unsqueeze(2)).unsqueeze(1).to(device)
    return Step(
        width, length, writes.reshape(-1).to(device), reads, int(tables[0, 0]) * size, positions.to(device), mask
    )


def sliding(mask: torch.Tensor | None, step: Step, window: int) -> torch.Tensor:
    """The same mask, for layers that see only so many tokens back."""
    seen = torch.arange(step.length, device=step.positions.device)
    near = (seen > step.positions.unsqueeze(2) - window) & (seen <= step.positions.unsqueeze(2))
    near = near.unsqueeze(1)
    return near if mask is None else near & mask
