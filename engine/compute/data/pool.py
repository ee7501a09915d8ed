"""The rows of a run as tokens: few at once, many only when a batch needs them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.compute.data.rows import Example
from engine.compute.data.tokenise import Encoded, Tokeniser
from engine.contract.errors import UserError

EAGER_ROWS = 5_000
"""Up to so many rows are tokenised before training, and what is not learned is left out and counted."""
PROBE_ROWS = 512
"""Of a larger dataset so many are tried first."""


@dataclass(frozen=True)
class Group:
    """The rows of one source and how often they are taken."""

    rows: int
    weight: float


class RowPool:
    """Rows by number, tokenised on first use and kept."""

    def __init__(self, tokeniser: Tokeniser, sources: Sequence[tuple[Sequence[Example], float]], seed: int) -> None:
        self.tokeniser = tokeniser
        self._examples = [example for rows, _ in sources for example in rows]
        self.groups = [Group(len(rows), weight) for rows, weight in sources]
        self._encoded: list[Encoded | None] = [None] * len(self._examples)
        self._seed = seed
        self.lazy = len(self._examples) > EAGER_ROWS
        self.lengths = np.array([example.characters for example in self._examples], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._encoded)

    def prepare(self, progress: Callable[[float], None]) -> None:
        """Tokenise what is tokenised beforehand; refuse a dataset in which nothing is learned."""
        if self.lazy:
            probe = random.Random(self._seed).sample(range(len(self)), PROBE_ROWS)
            if any(row.trained_tokens for row in self._fill(probe)):
                return
        self._fill_all(progress)
        self._drop_untrained()

    def fetch(self, indices: Sequence[int]) -> list[Encoded]:
        """The rows of a batch; rows in which nothing is learned are left out unless there are no others."""
        rows = self._fill(indices)
        return [row for row in rows if row.trained_tokens] or rows[:1]

    def _fill(self, indices: Sequence[int]) -> list[Encoded]:
        missing = [index for index in dict.fromkeys(indices) if self._encoded[index] is None]
        made = self.tokeniser.encode([self._examples[index] for index in missing])
        for index, encoded in zip(missing, made, strict=True):
            self._encoded[index] = encoded
        return [row for index in indices if (row := self._encoded[index]) is not None]

    def _fill_all(self, progress: Callable[[float], None], chunk: int = 1024) -> None:
        for begin in range(0, len(self), chunk):
            self._fill(range(begin, min(begin + chunk, len(self))))
            if len(self) > 4 * chunk:
                progress(min(1.0, (begin + chunk) / len(self)))

    def _drop_untrained(self) -> None:
        kept, begin, groups = list[Encoded](), 0, list[Group]()
        for group in self.groups:
            rows = [row for row in self._encoded[begin : begin + group.rows] if row is not None and row.trained_tokens]
            groups.append(Group(len(rows), group.weight))
            kept += rows
            begin += group.rows
        if not kept:
            raise UserError("data.nothing_trained", rows=len(self), max_length=self.tokeniser.max_length)
        self.groups, self._encoded, self._examples, self.lazy = groups, list(kept), [], False
        self.lengths = np.array([len(row) for row in kept], dtype=np.int64)
