"""Rows to which a model finds its own answers: what is asked as tokens, and what rewards are told of the row."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.compute.data.rows import Example, Turn
from engine.compute.data.templates import Template
from engine.compute.data.tokenise import Encoded, Tokeniser


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, with room for the longest answer behind it."""

    ids: array[int]
    turns: tuple[Turn, ...]
    expected: str | None
    """The row's own answer, where it has one."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Its other columns."""
    line: int = 0
    room: int = 256
    fits: bool = True

    def __len__(self) -> int:
        return len(self.ids) + self.room

    @property
    def tokens(self) -> int:
        """With the longest answer."""
        return len(self)

    @property
    def trained_tokens(self) -> int:
        """Of the longest answer; none where there is no room for it."""
        return self.room if self.fits else 0

    def teaches(self, limit: int) -> bool:
        """Question and answer fit."""
        return len(self) <= limit

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """The question; nothing of it is learned."""
        return (("", Encoded(self.ids, array("b", [0] * len(self.ids)))),)

    @property
    def prompt(self) -> str:
        """The last thing that was said."""
        return str(self.turns[-1]["content"]) if self.turns else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said."""

    ids: list[int]
    """With the token that ended it."""
    text: str
    ended: bool
    """By itself, not at the longest length."""


class QuestionTokeniser(Tokeniser):
    """Turns what is asked into tokens; of a conversation that is all before its last answer."""

    def __init__(self, template: Template, max_length: int, room: int) -> None:
        super().__init__(template, max_length, truncation="drop")
        self.room = room

    def encode(self, examples: Sequence[Example]) -> list[Asked]:  # type: ignore[override]
        """One question an example, in order."""
        parts = [question_of(example) for example in examples]
        texts = [
            self.template.render(turns, True, example.tools)
            for (turns, _), example in zip(parts, examples, strict=True)
        ]
        looked = self._tokens(texts, [None] * len(texts)) if texts else []
        return [
            self._asked(row.ids, example, *part) for row, example, part in zip(looked, examples, parts, strict=True)
        ]

    def _asked(self, ids: list[int], example: Example, turns: tuple[Turn, ...], expected: str | None) -> Asked:
        fits = len(ids) + self.room <= self.max_length
        made = Asked(array("i", ids), turns, expected, example.extra, example.line, self.room, fits)
        tally = self.tally
        tally.rows += 1
        tally.tokens += len(made)
        tally.trained_tokens += made.trained_tokens
        if not fits:
            tally.untrained += 1
            tally.untrained_lines += [example.line] if len(tally.untrained_lines) < 10 else []
        return made


def question_of(example: Example) -> tuple[tuple[Turn, ...], str | None]:
    """What is asked, and the answer the row has."""
    last = max((at for at, turn in enumerate(example.turns) if turn["role"] == "assistant"), default=None)
    if example.teaches == "prompt" or last is None:
        return example.turns, None
    return example.turns[:last], str(example.turns[last]["content"])
