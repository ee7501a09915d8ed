"""What a row of a dataset is once it is read: a conversation or a text, and where it stood."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Turn = dict[str, str]
"""One message: role and content."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it stands in the file."""

    line: int
    """Line of the file where the row begins; in a JSON array, Parquet or Arrow, the number of the row, from 1."""
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A row a model can learn from: either turns of a conversation or a plain text."""

    turns: tuple[Turn, ...] = ()
    text: str = ""
    line: int = 0
    source: int = 0

    @property
    def characters(self) -> int:
        """Length by which rows are grouped before they are tokens."""
        return len(self.text) + sum(len(turn["content"]) + 16 for turn in self.turns)

    @property
    def fingerprint(self) -> bytes:
        """The same for the same content, wherever it stands."""
        content = json.dumps([self.turns, self.text], ensure_ascii=False, sort_keys=True)
        return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=8).digest()


def with_system(examples: Sequence[Example], system: str | None) -> list[Example]:
    """Put a system prompt before every conversation that has none."""
    if not system:
        return list(examples)
    turn = {"role": "system", "content": system}
    return [
        Example((turn, *example.turns), example.text, example.line, example.source)
        if example.turns and example.turns[0]["role"] != "system"
        else example
        for example in examples
    ]
