"""Rows of two answers, or of one with a verdict, as tokens: what was asked, and how each answer goes on from it.

Where an answer begins is found as trl 1.16 finds it: at the first token in which what was asked, with the assistant's
opening, and the whole conversation differ.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.compute.data.headed import Labelled, Neighbours, Ranked, of_texts
from engine.compute.data.questions import Asked
from engine.compute.data.rows import Example, Turn
from engine.compute.data.tokenise import Encoded, Tokeniser

Extras = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question as tokens."""

    chosen: Encoded
    rejected: Encoded
    margin: float | None = None
    reference: tuple[float, float] | None = None
    """What the reference makes of both, where it was asked beforehand."""

    def __len__(self) -> int:
        return max(len(self.chosen), len(self.rejected))

    @property
    def tokens(self) -> int:
        """Of both."""
        return len(self.chosen) + len(self.rejected)

    @property
    def trained_tokens(self) -> int:
        """Of both answers; none unless something is left of each."""
        found = self.chosen.trained_tokens, self.rejected.trained_tokens
        return sum(found) if all(found) else 0

    def teaches(self, limit: int) -> bool:
        """Something of both is learned once the row is cut."""
        return self.chosen.teaches(limit) and self.rejected.teaches(limit)

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """Its sequences with what they are called."""
        return ("chosen", self.chosen), ("rejected", self.rejected)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer that was called good or bad, as tokens."""

    row: Encoded
    begin: int
    """Where the answer begins."""
    good: bool
    limit: int

    def __len__(self) -> int:
        return len(self.row)

    @property
    def tokens(self) -> int:
        """Of the row."""
        return len(self.row)

    @property
    def trained_tokens(self) -> int:
        """Of the answer."""
        return self.row.trained_tokens

    def teaches(self, limit: int) -> bool:
        """Something of the answer is learned once the row is cut."""
        return self.row.teaches(limit)

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """The row with its verdict."""
        return (("good" if self.good else "bad", self.row),)

    def answered_by(self, other: Verdict) -> Encoded:
        """Its question with the answer of another row."""
        ids = (self.row.ids[: self.begin] + other.row.ids[other.begin :])[: self.limit]
        return Encoded(ids, array("b", [0] * min(self.begin, len(ids)) + [1] * max(0, len(ids) - self.begin)))


Row = Encoded | Pair | Verdict | Asked | Labelled | Neighbours | Ranked


def side_by_side(rows: Sequence[Row]) -> tuple[list[Encoded], Extras]:
    """The rows of tokens a batch is made of, and what else of it must be known.

    Of pairs: first all better answers, then all worse ones. Of verdicts: the rows, then each question with the answer
    of the row before it, as trl does.
    """
    if rows and isinstance(rows[0], Labelled | Neighbours | Ranked):
        return of_texts(rows)
    pairs = [row for row in rows if isinstance(row, Pair)]
    verdicts = [row for row in rows if isinstance(row, Verdict)]
    if pairs:
        found = [*(row.chosen for row in pairs), *(row.rejected for row in pairs)]
        extras: Extras = {"lengths": [len(row) for row in found]}
        if any(row.margin is not None for row in pairs):
            extras["margin"] = [row.margin or 0.0 for row in pairs]
        asked = [row.reference for row in pairs if row.reference is not None]
        if len(asked) == len(pairs):
            extras["reference"] = [*(better for better, _ in asked), *(worse for _, worse in asked)]
        return found, extras
    if verdicts:
        others = [verdicts[-1], *verdicts[:-1]]
        crossed = [row.answered_by(other) for row, other in zip(verdicts, others, strict=True)]
        found = [*(row.row for row in verdicts), *crossed]
        return found, {"lengths": [len(row) for row in found], "verdict": [row.good for row in verdicts]}
    return [row for row in rows if isinstance(row, Encoded)], {}


class AnswerTokeniser(Tokeniser):
    """Turns pairs and verdicts into tokens."""

    whole = False
    """All of a row counts, not its answer only."""

    def encode(self, examples: Sequence[Example]) -> list[Row]:  # type: ignore[override]
        """One encoded row an example, in order."""
        return [self._row(example) for example in examples]

    def _row(self, example: Example) -> Row:
        sides = self._sides(example)
        before = sides[0][0]
        texts = [self.template.render(before, True, example.tools)] if before else []
        texts += [self.template.render((*before, *answer), tools=example.tools) for _, answer in sides]
        found = [row.ids for row in self._tokens(texts, [None] * len(texts))]
        asked = found.pop(0) if before else []
        begin = min(_alike(asked, ids) for ids in found)
        long = max(map(len, found)) > self.max_length
        made = [self._cut(ids, begin) for ids in found]
        if example.teaches == "verdict":
            left_out = max(0, len(found[0]) - self.max_length) if self.truncation == "start" else 0
            row: Row = Verdict(made[0], max(0, begin - left_out), bool(example.label), self.max_length)
        else:
            row = Pair(made[0], made[1], _margin(example))
        self._count(row, example, long)
        return row

    def _cut(self, ids: list[int], begin: int) -> Encoded:
        """A row no longer than it may be; one that is dropped has nothing that is learned."""
        begin = 0 if self.whole else begin
        kept, trained = self._shortened(ids, [0] * begin + [1] * (len(ids) - begin))
        return Encoded(array("i", kept), array("b", trained))

    def _count(self, row: Row, example: Example, long: bool) -> None:
        tally = self.tally
        tally.rows += 1
        tally.cut += long
        tally.tokens += row.tokens
        tally.trained_tokens += row.trained_tokens
        if not row.trained_tokens:
            tally.untrained += 1
            tally.untrained_lines += [example.line] if len(tally.untrained_lines) < 10 else []

    def _sides(self, example: Example) -> list[tuple[Sequence[Turn], Sequence[Turn]]]:
        """What was asked, and each answer."""
        if example.teaches == "verdict":
            at = len(example.turns)
            while at and example.turns[at - 1]["role"] in ("assistant", "tool"):
                at -= 1
            return [(example.turns[:at], example.turns[at:])]
        return [(example.turns, example.chosen), (example.turns, example.rejected)]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens are the same."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _margin(example: Example) -> float | None:
    found = example.extra.get("margin")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
