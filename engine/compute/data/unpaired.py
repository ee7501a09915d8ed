"""Preferences taken apart: each answer by itself, the better one called good and the worse one bad, as KTO learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.compute.data.row_set import RowId, RowSet
from engine.compute.data.rows import Example

BLOCK = 1000
"""trl takes that many rows at once: first all their better answers, then all their worse ones."""


def unpaired(example: Example, good: bool) -> Example:
    """One side of a preference as an answer with its verdict."""
    answer = example.chosen if good else example.rejected
    return replace(example, turns=(*example.turns, *answer), chosen=(), rejected=(), label=good, form="kto")


def all_unpaired(examples: Sequence[Example]) -> list[Example]:
    """Both sides of every preference; what is none stays as it is."""
    found = list[Example]()
    for example in examples:
        pair = example.teaches == "preference"
        found += [unpaired(example, True), unpaired(example, False)] if pair else [example]
    return found


class UnpairedRows(RowSet):
    """Twice the rows of a set of preferences."""

    def __init__(self, inner: RowSet, owners: np.ndarray | None = None, good: np.ndarray | None = None) -> None:
        """`owners`: of each row the preference it is of; `good`: whether it is the better side."""
        if owners is None or good is None:
            owners, good = _order(len(inner))
        self._inner, self._owners, self._good = inner, owners, good
        self.lengths = inner.lengths[owners]
        self.groups = None if inner.groups is None else inner.groups[owners]

    def examples(self, places: Sequence[int]) -> list[Example]:
        """Some rows."""
        found = self._inner.examples([int(self._owners[place]) for place in places])
        return [unpaired(row, bool(self._good[place])) for row, place in zip(found, places, strict=True)]

    def take(self, places: np.ndarray) -> UnpairedRows:
        """Some of them."""
        return UnpairedRows(self._inner, self._owners[places], self._good[places])

    def with_system(self, system: str | None) -> UnpairedRows:
        """With a system prompt before each row, where none is."""
        return UnpairedRows(self._inner.with_system(system), self._owners, self._good)

    def row_id(self, place: int) -> RowId:
        """That of the preference."""
        return self._inner.row_id(int(self._owners[place]))

    def line(self, place: int) -> int:
        """That of the preference."""
        return self._inner.line(int(self._owners[place]))

    def typical(self) -> Sequence[Example]:
        """As of the preferences."""
        return all_unpaired(self._inner.typical())

    def describe(self, weight: float) -> Iterator[bytes]:
        """The preferences, and which side each row is."""
        yield from self._inner.describe(weight)
        yield b"unpaired" + self._owners.astype("<i8").tobytes() + self._good.astype("<i1").tobytes()

    def _identities(self) -> Iterator[bytes]:
        known = list(self._inner.identities())
        return (known[owner] for owner in self._owners.tolist())


def as_verdicts(rows: RowSet) -> RowSet:
    """The same rows where they are no preferences."""
    typical = rows.typical()
    pairs = bool(typical) and all(row.teaches == "preference" for row in typical)
    return UnpairedRows(rows) if pairs else rows


def _order(count: int) -> tuple[np.ndarray, np.ndarray]:
    owners, good = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=bool)]
    for begin in range(0, count, BLOCK):
        block = np.arange(begin, min(begin + BLOCK, count))
        owners += [block, block]
        good += [np.ones(len(block), dtype=bool), np.zeros(len(block), dtype=bool)]
    return np.concatenate(owners), np.concatenate(good)
