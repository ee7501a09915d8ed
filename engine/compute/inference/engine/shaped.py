"""Answers of a given shape: JSON by a schema, a regular expression, one of some texts. Which tokens may come next is
llguidance's work; here it is asked at each token."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from engine.contract.errors import UserError

MOST_BYTES = 1 << 20
"""Of a schema or an expression."""


@dataclass(frozen=True)
class Shape:
    """What an answer must look like."""

    kind: Literal["json", "regex", "choice"]
    text: str
    """The schema in JSON, the expression, or the texts in JSON."""

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any] | None = None) -> Shape:
        """JSON by a schema; any object without one."""
        return cls("json", json.dumps(schema if schema is not None else {"type": "object"}, sort_keys=True))


class Shaper:
    """Makes what follows answers of a shape, for one tokenizer."""

    def __init__(self, tokenizer: Any, words: int, ends: frozenset[int]) -> None:
        self._tokenizer, self.words, self._ends = tokenizer, words, ends

    @functools.cached_property
    def _known(self) -> Any:
        if importlib.util.find_spec("llguidance") is None:
            raise UserError("inference.no_shapes")
        from llguidance.hf import from_tokenizer

        try:
            return from_tokenizer(self._tokenizer, n_vocab=self.words, eos_token=sorted(self._ends))
        except (ValueError, AttributeError, TypeError) as error:
            raise UserError("inference.no_shapes_here", detail=str(error)[:300]) from error

    def follow(self, shape: Shape) -> Follower:
        """From the first token on; raises what is wrong with the shape."""
        from_known = self._known
        from llguidance import LLMatcher

        if len(shape.text.encode()) > MOST_BYTES:
            raise UserError("inference.shape", kind=shape.kind, detail=f"it is longer than {MOST_BYTES:,} bytes")
        try:
            grammar = _grammar(shape)
            matcher = LLMatcher(from_known, grammar)
        except (ValueError, TypeError) as error:
            raise UserError("inference.shape", kind=shape.kind, detail=str(error)[:300]) from error
        if matcher.is_error():
            raise UserError("inference.shape", kind=shape.kind, detail=str(matcher.get_error())[:300])
        matcher.compute_bitmask()
        if matcher.is_stopped():  # before a single token
            raise UserError("inference.shape", kind=shape.kind, detail="there is no answer of that shape")
        return Follower(matcher, self.words)


def _grammar(shape: Shape) -> str:
    from llguidance import LLMatcher

    if shape.kind == "json":
        narrow = {"whitespace_flexible": False}  # a model may go on with blanks for ever
        return str(LLMatcher.grammar_from_json_schema(shape.text, defaults=narrow))
    if shape.kind == "regex":
        return str(LLMatcher.grammar_from_regex(shape.text))
    texts = json.loads(shape.text)
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one for one in texts):
        raise ValueError("choices are a list of texts")
    return str(LLMatcher.grammar_from_lark("start: " + " | ".join(json.dumps(one) for one in texts)))


class Follower:
    """Of one answer."""

    def __init__(self, matcher: Any, words: int) -> None:
        self._matcher, self._words = matcher, words

    def allowed(self) -> torch.Tensor:
        """[words], true where a token may come; the end is one of them."""
        bits = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.uint8)
        spread = (bits.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1
        found = spread.view(-1)[: self._words].bool()
        if len(found) < self._words:
            found = torch.cat([found, found.new_zeros(self._words - len(found))])
        return found

    def took(self, token: int) -> None:
        """This one came."""
        if not self._matcher.consume_token(token):
            raise UserError("inference.shape", kind="answer", detail=str(self._matcher.get_error())[:300])

    @property
    def over(self) -> bool:
        """Nothing may follow but the end."""
        return bool(self._matcher.is_stopped())
