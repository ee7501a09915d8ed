"""Rows that are longer than the model may see, as several rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.compute.data.row_set import RowId, RowSet
from engine.compute.data.rows import Example
from engine.compute.data.tokenise import Tokeniser

CHUNK = 1024


class PieceRows(RowSet):
    """Pieces of the rows of another set. Each piece is one row; its first token has nothing before it."""

    def __init__(self, inner: RowSet, owners: np.ndarray, pieces: np.ndarray) -> None:
        """`owners`: of each piece its row in the other set; `pieces`: which of the row's."""
        self._inner, self._owners, self._pieces = inner, owners, pieces
        counts = np.bincount(owners, minlength=len(inner))[owners] if len(owners) else np.zeros(0, dtype=np.int64)
        self.lengths = -(-inner.lengths[owners] // np.maximum(counts, 1))
        self.groups = None if inner.groups is None else inner.groups[owners]

    def examples(self, places: Sequence[int]) -> list[Example]:
        """Some pieces."""
        found = self._inner.examples([int(self._owners[place]) for place in places])
        return [replace(row, piece=int(self._pieces[place])) for row, place in zip(found, places, strict=True)]

    def take(self, places: np.ndarray) -> PieceRows:
        """Some of them."""
        return PieceRows(self._inner, self._owners[places], self._pieces[places])

    def with_system(self, system: str | None) -> PieceRows:
        """With a system prompt before each row, where none is."""
        return PieceRows(self._inner.with_system(system), self._owners, self._pieces)

    def row_id(self, place: int) -> RowId:
        """That of the whole row."""
        return self._inner.row_id(int(self._owners[place]))

    def line(self, place: int) -> int:
        """That of the whole row."""
        return self._inner.line(int(self._owners[place]))

    def typical(self) -> Sequence[Example]:
        """As of the whole rows."""
        return self._inner.typical()

    def describe(self, weight: float) -> Iterator[bytes]:
        """The rows and where they are cut."""
        yield from self._inner.describe(weight)
        yield self._owners.astype("<i8").tobytes() + self._pieces.astype("<i8").tobytes()

    def _identities(self) -> Iterator[bytes]:
        known = list(self._inner.identities())
        return (known[owner] for owner in self._owners.tolist())


def in_pieces(rows: RowSet, tokeniser: Tokeniser, progress: Callable[[float], None]) -> PieceRows:
    """All rows are tokenised once, to know how many pieces each has."""
    counts = np.ones(len(rows), dtype=np.int64)
    for begin in range(0, len(rows), CHUNK):
        places = range(begin, min(begin + CHUNK, len(rows)))
        for place, row in zip(places, tokeniser.look(rows.examples(places)), strict=True):
            counts[place] = max(1, -(-len(row.ids) // tokeniser.max_length))
        progress(places.stop / len(rows))
    owners = np.repeat(np.arange(len(rows)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return PieceRows(rows, owners, np.arange(len(owners)) - first)
