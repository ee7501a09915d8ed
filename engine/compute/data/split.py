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
    key = seed.to_bytes(8, "big")
    train, validation = list[Example](), list[Example]()
    for example in examples:
        digest = hashlib.blake2b(example.fingerprint, digest_size=8, key=key).digest()
        (validation if int.from_bytes(digest, "big") < limit else train).append(example)
    if not train and validation:
        train.append(validation.pop())
    return train, validation
