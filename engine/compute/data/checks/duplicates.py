"""Rows that stand twice, or that stand in a held-out version too: 16 bytes a row, compared when all are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Pair = tuple[int, int]


class Digests:
    """The digests of rows in their order."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes) // 16

    def add(self, digest: bytes) -> None:
        """The next row's."""
        self._bytes += digest

    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        both = np.frombuffer(bytes(self._bytes), dtype=np.uint64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def repeated(self) -> Iterator[Pair]:
        """Rows that were there before, each with the first that is the same, by row."""
        if len(self) < 2:
            return
        high, low = self._columns()
        order = np.lexsort((np.arange(len(high)), low, high))
        same = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
        begins = np.concatenate(([True], ~same))
        first = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
        later = np.flatnonzero(~begins)
        rows = order[later]
        by_row = np.argsort(rows, kind="stable")
        yield from zip(rows[by_row].tolist(), first[later][by_row].tolist(), strict=True)

    def among(self, others: Digests) -> Iterator[Pair]:
        """Rows that are among others: (row, its place there)."""
        if not len(self) or not len(others):
            return
        high, low = self._columns()
        their_high, their_low = others._columns()
        order = np.argsort(their_high, kind="stable")
        sorted_high = their_high[order]
        begin = np.searchsorted(sorted_high, high, "left")
        end = np.searchsorted(sorted_high, high, "right")
        for row in np.flatnonzero(end > begin).tolist():
            for place in order[begin[row] : end[row]].tolist():
                if their_low[place] == low[row]:
                    yield row, place
                    break

    def state(self) -> dict[str, Any]:
        """For another attempt."""
        return {"bytes": self._bytes}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on."""
        self._bytes = bytearray(state["bytes"])
