"""Setting rows aside for validation: by the content of a row, so that a row always falls on the same side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from engine.compute.data.rows import Example


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Training and validation rows; equal rows stay together."""
    if share <= 0:
        return list(examples), []
    limit = int(share * 2**64)
    places = [_place(example, seed) for example in examples]
    if len(set(places)) > 1:  # never all on one side
        limit = min(max(limit, min(places) + 1), max(places))
    train, validation = list[Example](), list[Example]()
    for example, place in zip(examples, places, strict=True):
        (validation if place < limit else train).append(example)
    return train, validation


def _place(example: Example, seed: int) -> int:
    """A number from 0 to 2**64 that depends on the row's content and the seed only."""
    digest = hashlib.blake2b(example.fingerprint, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big")
