"""Rows that are nearly alike: MinHash sketches of runs of five words, a byte a place, found by bands of places.

A sketch is 128 bytes; eight of them are a band. Two rows of which any band agrees are compared place by place, and the
share of equal places is how alike they are. Bands of four find rows that are less alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.compute.data.checks.runs import MOST_CHARACTERS, runs_of

PLACES, SEED = 128, 7
CHUNK = 512
MOST_ROWS = 1_000_000
"""Sketches of so many first rows are kept (128 MB); later ones are not compared."""
MOST_COMPARED = 64
"""A row is compared with so many of those that share a band, the first of them."""
Match = tuple[int, int, float]


class Sketches:
    """Sketches of texts in their order."""

    def __init__(self) -> None:
        self._made = list[np.ndarray]()
        self._waiting = list[str]()
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, text: str) -> None:
        """The next row's text."""
        if self._rows >= MOST_ROWS:
            return
        self._rows += 1
        self._waiting.append(text[:MOST_CHARACTERS])
        if len(self._waiting) == CHUNK:
            self._make()

    def _make(self) -> None:
        if self._waiting:
            from rensa import RMinHash

            found = RMinHash.digest_matrix_from_flat_token_hashes(*runs_of(self._waiting), PLACES, SEED)
            self._made.append((np.asarray(found.to_rows(), dtype=np.uint32) & 0xFF).astype(np.uint8))
            self._waiting = []

    def matrix(self) -> np.ndarray:
        """A sketch a row."""
        self._make()
        if len(self._made) > 1:
            self._made = [np.concatenate(self._made)]
        return self._made[0] if self._made else np.zeros((0, PLACES), np.uint8)

    def state(self) -> dict[str, Any]:
        """For another attempt."""
        return {"rows": self._rows, "sketches": self.matrix()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on."""
        self._rows, self._waiting = int(state["rows"]), []
        self._made = [np.frombuffer(bytes(state["sketches"]), np.uint8).reshape(-1, PLACES)]


def alike(earlier: np.ndarray, rows: np.ndarray, share: float) -> Iterator[Match]:
    """Rows so much alike to an earlier one of `earlier` (or of themselves, where it is empty): row, that one, share.

    Each row once, with the one it is most like.
    """
    own = not len(earlier)
    whole = rows if own else np.concatenate((earlier, rows))
    if len(whole) < 2:
        return
    offset = len(earlier)
    best = dict[int, tuple[float, int]]()
    for one, other in _candidates(whole, share):
        early, late = min(one, other), max(one, other)
        if not own and (late < offset or early >= offset):
            continue
        likeness = _likeness(whole[early], whole[late])
        row, first = late - offset, early
        if likeness >= share and likeness > best.get(row, (0.0, 0))[0]:
            best[row] = (likeness, first)
    for row in sorted(best):
        yield row, best[row][1], round(best[row][0], 3)


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Share of equal places, less those that agree by chance (1 in 256)."""
    equal = float(np.count_nonzero(one == other)) / PLACES
    return max(0.0, (equal - 1 / 256) / (1 - 1 / 256))


def _candidates(whole: np.ndarray, share: float) -> Iterator[tuple[int, int]]:
    """Pairs that share a band: each row with the first of those that have it, and its neighbours among them."""
    kind = np.uint64 if share >= 0.75 else np.uint32
    bands = np.ascontiguousarray(whole).view(kind)
    seen = set[int]()
    for number in range(bands.shape[1]):
        keys = bands[:, number]
        order = np.argsort(keys, kind="stable")
        same = keys[order][1:] == keys[order][:-1]
        begins = np.flatnonzero(np.concatenate(([True], ~same)))
        sizes = np.diff(np.append(begins, len(order)))
        for begin, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
            group = order[begin : begin + size].tolist()
            for place in range(1, size):
                for other in {group[0], group[place - 1]} if size > MOST_COMPARED else group[:place]:
                    pair = other * len(whole) + group[place]
                    if pair not in seen:
                        seen.add(pair)
                        yield other, group[place]
