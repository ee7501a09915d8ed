"""From examples to token ids and the mask of trained tokens."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Self

from engine.compute.data.mask import Span, render_with_spans
from engine.compute.data.rows import Example, Turn
from engine.compute.data.templates import Template
from engine.contract.objective import Truncation

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as tokens; `trained` holds a 1 for each token that is learned."""

    ids: array[int]
    trained: array[int]
    place: int = field(default=-1, compare=False)
    """Its number among the rows of a run; -1: it is none of them."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """That pass through the model."""
        return len(self.ids)

    @property
    def trained_tokens(self) -> int:
        """How many tokens count in the loss: the first of a row has nothing before it to be told from."""
        return sum(self.trained[1:])

    def teaches(self, limit: int) -> bool:
        """Something is learned of the first tokens."""
        return any(self.trained[1:limit])

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """Its sequences with what they are called."""
        return (("", self),)


@dataclass(frozen=True, slots=True)
class Looked:
    """A row as tokens before it is cut, with the text they are of."""

    text: str
    spans: list[Span] | None
    """What is learned, in characters; None: all."""
    ids: list[int]
    trained: list[int]
    places: list[tuple[int, int]]
    """Of each token in the text; empty where the tokenizer does not say."""


@dataclass
class Tally:
    """What happened to the rows on the way."""

    rows: int = 0
    cut: int = 0
    untrained: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    untrained_lines: list[int] = field(default_factory=list)


class Tokeniser:
    """Turns examples into tokens as a stage wants them."""

    def __init__(
        self,
        template: Template,
        max_length: int,
        answers_only: bool = True,
        truncation: Truncation = "end",
        last_only: bool = False,
    ) -> None:
        """`last_only`: of each conversation the last answer is learned, the others are read."""
        self.template = template
        self.tokenizer = template.tokenizer
        self.max_length = max_length
        self.answers_only = answers_only
        self.truncation, self.last_only = truncation, last_only
        self.tally = Tally()

    def again(self, max_length: int | None = None) -> Self:
        """The same with a tally of its own."""
        made = copy(self)
        made.tally = Tally()
        made.max_length = max_length or self.max_length
        return made

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """One encoded row an example, in order."""
        encoded = list[Encoded]()
        for begin in range(0, len(examples), CHUNK):
            encoded += self._encode_chunk(examples[begin : begin + CHUNK])
        return encoded

    def look(self, examples: Sequence[Example]) -> list[Looked]:
        """The rows as tokens, uncut and not counted."""
        texts, spans = list[str](), list[list[Span] | None]()
        for example in examples:
            text, found = self._rendered(example)
            texts.append(text)
            spans.append(found)
        return self._tokens(texts, spans)

    def _encode_chunk(self, examples: Sequence[Example]) -> list[Encoded]:
        return [self._finish(row, example) for row, example in zip(self.look(examples), examples, strict=True)]

    def _rendered(self, example: Example) -> tuple[str, list[Span] | None]:
        """The text of a row and what is learned of it; None: all of it."""
        if not example.turns:
            return (self.tokenizer.bos_token or "") + example.text + (self.tokenizer.eos_token or ""), None
        if not self.answers_only:
            return self.template.render(example.turns, tools=example.tools), None
        turns = _last_only(example.turns) if self.last_only else example.turns
        return render_with_spans(self.template, turns, example.tools)

    def _tokens(self, texts: list[str], spans: list[list[Span] | None]) -> list[Looked]:
        pairs = zip(texts, spans, strict=True)
        if not getattr(self.tokenizer, "is_fast", False):
            return [Looked(text, found, *self._by_pieces(text, found), []) for text, found in pairs]
        batch: Any = self.tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False
        )
        rows = zip(batch["input_ids"], batch["offset_mapping"], strict=True)
        return [
            Looked(text, found, ids, _mask(places, found), places)
            for (text, found), (ids, places) in zip(pairs, rows, strict=True)
        ]

    def _by_pieces(self, text: str, spans: list[Span] | None) -> tuple[list[int], list[int]]:
        """For a tokenizer that does not say where its tokens stand: text outside and inside the spans apart."""
        ids, mask, at = list[int](), list[int](), 0
        for begin, end in [*(spans if spans is not None else [(0, len(text))]), (len(text), len(text))]:
            for piece, learned in ((text[at:begin], 0), (text[begin:end], 1)):
                found = self.tokenizer(piece, add_special_tokens=False)["input_ids"] if piece else []
                ids += found
                mask += [learned] * len(found)
            at = end
        return ids, mask

    def _shortened(self, ids: list[int], mask: list[int]) -> tuple[list[int], list[int]]:
        """A row that may be too long: cut, or with nothing left to be learned where such rows are dropped."""
        if len(ids) <= self.max_length:
            return ids, mask
        if self.truncation == "start":
            return ids[-self.max_length :], mask[-self.max_length :]
        kept = mask[: self.max_length] if self.truncation == "end" else [0] * self.max_length
        return ids[: self.max_length], kept

    def _finish(self, row: Looked, example: Example) -> Encoded:
        tally, ids, mask = self.tally, row.ids, row.trained
        tally.rows += 1
        if self.truncation == "split":
            begin = example.piece * self.max_length
            ids, mask = ids[begin : begin + self.max_length], mask[begin : begin + self.max_length]
        if len(ids) > self.max_length:
            tally.cut += 1
            ids, mask = self._shortened(ids, mask)
        made = Encoded(array("i", ids), array("b", mask))
        tally.tokens += len(ids)
        tally.trained_tokens += made.trained_tokens
        if not made.trained_tokens:
            tally.untrained += 1
            tally.untrained_lines += [example.line] if len(tally.untrained_lines) < 10 else []
        return made


def _last_only(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The conversation with all its answers but the last marked as not learned."""
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=-1)
    return tuple(
        {**turn, "train": False} if turn["role"] == "assistant" and at != last else turn
        for at, turn in enumerate(turns)
    )


def _mask(offsets: Sequence[tuple[int, int]], spans: list[Span] | None) -> list[int]:
    """1 for tokens that hold a character of a span, as transformers counts them."""
    if spans is None:
        return [1] * len(offsets)
    mask = [0] * len(offsets)
    for begin, end in spans:
        first, last = bisect_left(offsets, (begin,)), bisect_left(offsets, (end,))
        while first and offsets[first - 1][1] > begin:
            first -= 1
        mask[first:last] = [1] * (last - first)
    return mask
