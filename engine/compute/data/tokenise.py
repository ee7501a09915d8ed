"""From examples to token ids and the mask of trained tokens."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.compute.data.mask import Span, render_with_spans
from engine.compute.data.rows import Example
from engine.compute.data.templates import Template

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as tokens; `trained` holds a 1 for each token that is learned."""

    ids: array[int]
    trained: array[int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def trained_tokens(self) -> int:
        """How many tokens count in the loss: the first of a row has nothing before it to be told from."""
        return sum(self.trained[1:])


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

    def __init__(self, template: Template, max_length: int, answers_only: bool = True) -> None:
        self.template = template
        self.tokenizer = template.tokenizer
        self.max_length = max_length
        self.answers_only = answers_only
        self.tally = Tally()

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """One encoded row an example, in order."""
        encoded = list[Encoded]()
        for begin in range(0, len(examples), CHUNK):
            encoded += self._encode_chunk(examples[begin : begin + CHUNK])
        return encoded

    def _encode_chunk(self, examples: Sequence[Example]) -> list[Encoded]:
        texts, spans = [], []
        for example in examples:
            text, found = self._rendered(example)
            texts.append(text)
            spans.append(found)
        return [
            self._finish(*pair, example) for pair, example in zip(self._tokens(texts, spans), examples, strict=True)
        ]

    def _rendered(self, example: Example) -> tuple[str, list[Span] | None]:
        """The text of a row and what is learned of it; None: all of it."""
        if not example.turns:
            return (self.tokenizer.bos_token or "") + example.text + (self.tokenizer.eos_token or ""), None
        if not self.answers_only:
            return self.template.render(example.turns), None
        return render_with_spans(self.template, example.turns)

    def _tokens(self, texts: list[str], spans: list[list[Span] | None]) -> list[tuple[list[int], list[int]]]:
        offsets_known = bool(getattr(self.tokenizer, "is_fast", False))
        if not offsets_known:
            return [self._by_pieces(text, found) for text, found in zip(texts, spans, strict=True)]
        batch: Any = self.tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False
        )
        pairs = zip(batch["input_ids"], batch["offset_mapping"], spans, strict=True)
        return [(ids, _mask(offsets, found)) for ids, offsets, found in pairs]

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

    def _finish(self, ids: list[int], mask: list[int], example: Example) -> Encoded:
        tally = self.tally
        tally.rows += 1
        if len(ids) > self.max_length:
            tally.cut += 1
            ids, mask = ids[: self.max_length], mask[: self.max_length]
        row = Encoded(array("i", ids), array("b", mask))
        tally.tokens += len(ids)
        tally.trained_tokens += row.trained_tokens
        if not row.trained_tokens:
            tally.untrained += 1
            tally.untrained_lines += [example.line] if len(tally.untrained_lines) < 10 else []
        return row


def _mask(offsets: Sequence[tuple[int, int]], spans: list[Span] | None) -> list[int]:
    """1 for tokens that begin inside a span."""
    if spans is None:
        return [1] * len(offsets)
    mask = [0] * len(offsets)
    at = 0
    for index, (begin, end) in enumerate(offsets):
        while at < len(spans) and begin >= spans[at][1]:
            at += 1
        if at == len(spans):
            break
        if end > spans[at][0] and (begin >= spans[at][0] or end > begin):
            mask[index] = 1 if begin >= spans[at][0] else 0
    return mask
