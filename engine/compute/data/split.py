"""Setting rows aside for validation: by the content of a row or its group, so that it always falls on the same side.

A row's side depends on itself, the share and the seed: rows that are added later move no other row. So it may be that
none falls on one side of a handful of rows; that is said, never mended by moving one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from engine.compute.data.row_set import RowSet

Rows = TypeVar("Rows", bound=RowSet)


def split(rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Training and validation rows; equal rows, and rows of a group, stay together."""
    aside = sides(rows.identities(), len(rows), share, seed)
    return rows.take(np.flatnonzero(~aside)), rows.take(np.flatnonzero(aside))


def sides(identities: Iterable[bytes], count: int, share: float, seed: int) -> np.ndarray:
    """Of each row whether it is set aside."""
    if share <= 0:
        return np.zeros(count, dtype=bool)
    limit = int(share * 2**64)
    return np.fromiter((_place(identity, seed) < limit for identity in identities), dtype=bool, count=count)


def _place(identity: bytes, seed: int) -> int:
    """A number from 0 to 2**64 that depends on the row's content and the seed only."""
    digest = hashlib.blake2b(identity, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big")
