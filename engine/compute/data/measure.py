"""Counting rows as tokens: lengths, what is learned, who speaks how much, how often."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from engine.compute.data.row_source import Numbered
from engine.compute.data.rows import Example, Turn, with_system
from engine.compute.data.tokenise import Looked, Tokeniser
from engine.contract.errors import UserError

CHUNK = 64
REFUSED = ("model.template_failed", "model.template_unmaskable")
"""What a template says of a conversation, not of itself."""
MARKUP = "template"
"""What the template adds, in the count by role."""


@dataclass(frozen=True)
class Failure:
    """A row the template refused, and why."""

    row: int
    line: int
    error: UserError


@dataclass
class Measured:
    """What was counted so far."""

    lengths: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """Numbers of the rows that were counted."""
    trained: int = 0
    """Tokens that are learned, of rows as they are cut."""
    kept: int = 0
    """Tokens of rows as they are cut."""
    untrained: int = 0
    by_role: Counter[str] = field(default_factory=Counter)
    turns: Counter[int] = field(default_factory=Counter)
    complete: bool = False
    """Everything that was offered was counted."""
    failed: int = 0
    """Rows the template refused."""
    failure: Failure | None = None
    """The first of them."""

    @property
    def trained_share(self) -> float:
        """Of the tokens that are not cut off."""
        return self.trained / max(1, self.kept)


def measure(
    rows: Iterable[Numbered], tokeniser: Tokeniser, system: str | None, until: float, roles: bool = True
) -> Measured:
    """Count rows until they or the time are used up; at least one piece."""
    found = Measured()
    for piece in _pieces(rows):
        sides = [(number, side) for number, example in piece for side, _ in sides_of(example, system)]
        for number, example, row in _looked(sides, tokeniser, found):
            _count(found, number, example, row, tokeniser.max_length, roles)
        if time.monotonic() > until:
            return found
    found.complete = True
    return found


def _looked(sides: list[Numbered], tokeniser: Tokeniser, found: Measured) -> Iterator[tuple[int, Example, Looked]]:
    """The rows as tokens; those that the template refuses are noted, one by one."""
    try:
        looked = tokeniser.look([example for _, example in sides])
    except UserError as error:
        if error.code not in REFUSED:
            raise
        if len(sides) > 1:
            for side in sides:
                yield from _looked([side], tokeniser, found)
            return
        found.failed += 1
        found.failure = found.failure or Failure(sides[0][0], sides[0][1].line, error)
        return
    for (number, example), row in zip(sides, looked, strict=True):
        yield number, example, row


def sides_of(example: Example, system: str | None = None) -> list[tuple[Example, str]]:
    """What of a row goes through a model: itself, or both answers of a preference behind what they follow."""
    (example,) = with_system([example], system)
    if example.texts:
        names = ("anchor", "positive", *["negative"] * len(example.texts))
        return [(replace(example, text=text, texts=()), name) for text, name in zip(example.texts, names, strict=False)]
    if not example.chosen:
        return [(example, "")]
    before = tuple({**turn, "train": False} for turn in example.turns)
    pairs = (("chosen", example.chosen), ("rejected", example.rejected))
    return [(replace(example, turns=(*before, *turns), chosen=(), rejected=()), side) for side, turns in pairs]


def _pieces(rows: Iterable[Numbered]) -> Iterator[list[Numbered]]:
    piece = list[Numbered]()
    for row in rows:
        piece.append(row)
        if len(piece) == CHUNK:
            yield piece
            piece = []
    if piece:
        yield piece


def _count(found: Measured, number: int, example: Example, row: Looked, max_length: int, roles: bool) -> None:
    length = len(row.ids)
    trained = sum(row.trained[1:max_length])
    found.lengths.append(length)
    found.rows.append(number)
    found.kept += min(length, max_length)
    found.trained += trained
    found.untrained += trained == 0
    found.turns[len(example.turns)] += 1
    if roles:
        found.by_role.update(tokens_by_role(row, example))


def tokens_by_role(row: Looked, example: Example) -> Counter[str]:
    """Tokens of each role's words; what the template writes around them counts for itself."""
    if not example.turns:
        return Counter({"text": len(row.ids)})
    if not row.places:
        return Counter({MARKUP: len(row.ids)})
    counts, begins = Counter[str](), [begin for begin, _ in row.places]
    for begin, end, role in _said(row, example.turns):
        counts[role] += bisect_left(begins, end) - bisect_left(begins, begin)
    counts[MARKUP] = len(row.ids) - sum(counts.values())
    return +counts


def _said(row: Looked, turns: Sequence[Turn]) -> Iterator[tuple[int, int, str]]:
    """Where the words of each turn stand, found one behind the other."""
    at, learned = 0, list(row.spans or [])
    for turn in turns:
        span = learned[0] if learned and turn["role"] == "assistant" and turn.get("train") is not False else None
        if span is not None:
            learned.pop(0)
            if span[0] >= at:
                yield (*span, "assistant")
                at = span[1]
                continue
        words = str(turn.get("content") or "").strip()
        begin = row.text.find(words, at) if words else -1
        if begin >= 0:
            yield begin, begin + len(words), turn["role"]
            at = begin + len(words)
