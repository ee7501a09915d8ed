"""What a row of a dataset is once it is read: a conversation, a text or one of the other things a stage learns from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.contract.data_format import TEACHES

Turn = dict[str, Any]
"""One message: role and content; with `tool_calls` where it calls tools, `train` where the row says whether it is
learned, `reasoning_content` where it thinks aloud, `name` and `tool_call_id` where a tool answers."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it stands in the file."""

    line: int
    """Line of the file where the row begins; in a JSON array, Parquet or Arrow, the number of the row, from 1."""
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A row a model can learn from. A conversation has turns, a text its text; other formats use the fields below."""

    turns: tuple[Turn, ...] = ()
    """Of a preference: what both answers follow. Of a verdict: with the answer."""
    text: str = ""
    line: int = 0
    source: int = 0
    form: str = ""
    """The format it was read as."""
    tools: tuple[dict[str, Any], ...] = ()
    """Tools that may be called, as JSON schemas."""
    chosen: tuple[Turn, ...] = ()
    rejected: tuple[Turn, ...] = ()
    label: Any = None
    """Of a verdict: true or false; of a classification: its class or classes; of a pair: how alike its texts are."""
    texts: tuple[str, ...] = ()
    """Of a pair: anchor, positive, and negatives."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Of a prompt: the columns that play no part, for rewards."""
    media: tuple[str, ...] = ()
    """Images, audio and videos the row has and no stage of this version learns from: image, audio, video."""

    piece: int = 0
    """Which part of the row it is, where rows that are too long come in several."""

    @property
    def teaches(self) -> str:
        """What it is to a stage: conversation, text, preference, verdict, prompt, pair or class."""
        return TEACHES.get(self.form) or ("conversation" if self.turns else "text")

    @property
    def characters(self) -> int:
        """Length by which rows are grouped before they are tokens."""
        total = len(self.text) + sum(len(turn["content"]) + 16 for turn in self.turns)
        if self.chosen or self.rejected or self.texts:
            total += sum(len(turn["content"]) + 16 for turn in (*self.chosen, *self.rejected))
            total += sum(map(len, self.texts))
        return total

    @property
    def fingerprint(self) -> bytes:
        """The same for the same content, wherever it stands."""
        parts: list[Any] = [self.turns, self.text]
        more = {
            name: value
            for name in ("tools", "chosen", "rejected", "label", "texts", "extra")
            if (value := getattr(self, name)) or value is False
        }
        if more:  # a conversation or a text alone has the fingerprint it always had
            parts.append(more)
        content = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
        return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=8).digest()


def with_system(examples: Sequence[Example], system: str | None) -> list[Example]:
    """Put a system prompt before every conversation that has none."""
    if not system:
        return list(examples)
    turn = {"role": "system", "content": system}
    return [
        replace(example, turns=(turn, *example.turns))
        if example.turns and example.turns[0]["role"] != "system"
        else example
        for example in examples
    ]
