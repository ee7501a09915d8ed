"""Validation rows as batches: made once where they are few, made again for each measurement where they are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from engine.compute.data.pool import too_many
from engine.compute.data.preference import Row
from engine.compute.data.row_set import JoinedRows, RowSet
from engine.compute.data.tokenise import Tokeniser
from engine.compute.training.batches import Batch, collate
from engine.contract.errors import UserError

CHUNK = 256


class ManyBatches(Sequence[Batch]):
    """Rows too many to hold as tokens: read and tokenised anew each time they are gone through."""

    def __init__(self, tokeniser: Tokeniser, rows: JoinedRows, size: int, pad: int, multiple: int) -> None:
        self._tokeniser, self._rows = tokeniser, rows
        self._shape = (size, pad, multiple)
        self._order = np.argsort(rows.lengths, kind="stable")

    def __len__(self) -> int:
        return -(-len(self._order) // self._shape[0])

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        size, pad, multiple = self._shape
        found = self._tokeniser.encode(self._rows.examples(self._order[index * size : (index + 1) * size].tolist()))
        return collate(_learned(found) or found[:1], pad, multiple)

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))


def validation_batches(
    tokeniser: Tokeniser, sets: Sequence[RowSet], size: int, pad: int, multiple: int
) -> Sequence[Batch]:
    """The batches whose loss is measured; rows of like length side by side."""
    rows = JoinedRows(sets)
    if too_many(rows.lengths):
        return ManyBatches(tokeniser, rows, size, pad, multiple)
    encoded = sorted(_learned(tokeniser.encode(rows.examples(range(len(rows))))), key=len)
    return [collate(encoded[at : at + size], pad, multiple) for at in range(0, len(encoded), size)]


def check_measured(tokeniser: Tokeniser, name: str, rows: RowSet) -> None:
    """Refuse validation rows of which no token counts: their loss would be that of nothing."""
    for at in range(0, len(rows), CHUNK):
        if _learned(tokeniser.encode(rows.examples(list(range(at, min(at + CHUNK, len(rows))))))):
            return
    if len(rows):
        raise UserError("data.nothing_measured_of", name=name, rows=len(rows), max_length=tokeniser.max_length)


def _learned(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.trained_tokens]
