"""Answers of a model as rows of an import: questions are asked some at a time, their answers judged and chosen.

Where it stands is the number of the next question and how many of its rows were taken, so that it goes on in the
middle of a question without a row that is there twice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from engine.compute.data.feeds import Met, Place
from engine.compute.data.questions import Answer, Asked, QuestionTokeniser
from engine.compute.data.row_set import RowSet
from engine.compute.data.rows import Example, Record
from engine.compute.inference.generate import Generator
from engine.compute.inference.sampling import Sampling, sample
from engine.compute.training.rewards.judge import Judge, Scores
from engine.contract.sampling import SampleJob


@dataclass(frozen=True)
class Given:
    """An answer and what is known of it."""

    number: int
    """Among the answers to its question, from 1."""
    chance: int
    answer: Answer
    total: float
    """Its reward; NaN where none judged it."""
    rewards: dict[str, float | None]

    @property
    def facts(self) -> dict[str, Any]:
        """As they stand in a row."""
        judged = {"reward": None if math.isnan(self.total) else self.total, "rewards": self.rewards}
        told = {"answer": self.number, "seed": self.chance, "tokens": len(self.answer.ids), "ended": self.answer.ended}
        return {**told, **(judged if self.rewards else {})}


class SampleFeed:
    """Rows in the order of their questions."""

    def __init__(
        self,
        job: SampleJob,
        rows: RowSet,
        tokeniser: QuestionTokeniser,
        generator: Generator,
        judge: Judge | None,
        check: Callable[[], None],
    ) -> None:
        """`check` is called at every token, and may raise."""
        self.job, self._rows, self._tokeniser = job, rows, tokeniser
        self._generator, self._judge, self._check = generator, judge, check
        self._how = Sampling(job.max_tokens, job.temperature, job.top_p, job.top_k, job.batch_size)
        self.names, self.left_out, self.bytes = [PurePath(job.source.path).name], list[str](), 0
        self.identity, self.encodings = "", dict[str, tuple[str, str]]()
        self.tally: dict[str, int] = {}
        """Questions and answers, and what became of those that are no rows; the import keeps it with its state."""

    @property
    def done(self) -> int:
        """Nothing is read by the byte."""
        return 0

    @property
    def questions(self) -> int:
        """How many there are."""
        return len(self._rows)

    def rows(self, place: Place) -> Iterator[Met]:
        """Rows from a question on; of the first, behind those that were taken."""
        at_once = max(1, self.job.batch_size // self.job.answers)
        while place.row < self.questions:
            numbers = range(place.row, min(place.row + at_once, self.questions))
            examples = self._rows.examples(numbers)
            asked = self._tokeniser.encode(examples)
            fit = [at for at, one in enumerate(asked) if one.fits]
            given = dict(zip(fit, self._given([asked[at] for at in fit], [examples[at] for at in fit]), strict=True))
            for at, number in enumerate(numbers):
                yield from self._taken(place, number, examples[at], asked[at], given.get(at))

    def _taken(
        self, place: Place, number: int, example: Example, asked: Asked, given: list[Given] | None
    ) -> Iterator[Met]:
        """The rows of one question; counted once the last of them was taken."""
        tally: dict[str, int] = {"questions": 1}
        chosen = self._chosen(given, tally) if given is not None else []
        tally["too_long"] = int(given is None)
        for at, row in enumerate(chosen):
            if at < place.file:
                continue
            place.file = at + 1
            line = number * self.job.answers + row[0].number
            yield Met(0, Record(line, self._content(number, example, asked, row)))
        for name, count in tally.items():
            self.tally[name] = self.tally.get(name, 0) + count
        place.row, place.file = number + 1, 0

    def _given(self, asked: Sequence[Asked], examples: Sequence[Example]) -> list[list[Given]]:
        """All answers to each question, judged."""
        if not asked:
            return []
        each = self.job.answers
        chances = [chance_of(self.job.seed, one, number) for one in examples for number in range(1, each + 1)]
        prompts = [list(one.ids) for one in asked for _ in range(each)]
        answers = sample(self._generator, prompts, chances, self._how, self._check)
        scores: Scores = self._judge.score(asked, answers) if self._judge is not None else {}
        totals = self._judge.total(scores) if self._judge is not None else [math.nan] * len(answers)
        made = [
            Given(at % each + 1, chances[at], answers[at], totals[at], {name: by[at] for name, by in scores.items()})
            for at in range(len(answers))
        ]
        return [made[at : at + each] for at in range(0, len(made), each)]

    def _chosen(self, given: Sequence[Given], tally: dict[str, int]) -> list[tuple[Given, ...]]:
        """The answers that become rows: one each, of pairs two, the better first."""
        job = self.job
        whole = [one for one in given if one.answer.ended or job.keep_cut]
        said = [one for one in whole if one.answer.text.strip()]
        tally |= {"answers": len(given), "cut": len(given) - len(whole), "empty": len(whole) - len(said)}
        if job.choose == "all":
            return [(one,) for one in said]
        judged = [one for one in said if not math.isnan(one.total)]
        tally["unjudged"] = len(said) - len(judged)
        ranked = sorted(judged, key=lambda one: (-one.total, one.number))
        if job.choose == "best_worst":
            apart = ranked[0].total - ranked[-1].total if ranked else 0.0
            pair = apart > 0 and apart >= job.margin and ranked[0].answer.text != ranked[-1].answer.text
            tally["alike"] = int(not pair)
            return [(ranked[0], ranked[-1])] if pair else []
        kept = ranked[: job.keep] if job.choose == "best_n" else [one for one in judged if one.total >= job.threshold]
        tally["refused"] = len(judged) - len(kept)
        return [(one,) for one in kept]

    def _content(self, number: int, example: Example, asked: Asked, row: tuple[Given, ...]) -> dict[str, Any]:
        """A row as the library keeps it."""
        source = {"row": number + 1, "line": example.line, "hash": self._rows.row_id(number).fingerprint}
        tools = {"tools": list(example.tools)} if example.tools else {}
        answers = [{"role": "assistant", "content": one.answer.text} for one in row]
        if len(row) == 1:
            facts = {"sampled": {**source, **row[0].facts}}
            return {"messages": [*map(dict, asked.turns), answers[0]], **tools, **facts}
        better, worse = row
        facts = {"sampled": {**source, "chosen": better.facts, "rejected": worse.facts}}
        sides = {"chosen": answers[:1], "rejected": answers[1:]}
        return {"prompt": [*map(dict, asked.turns)], **sides, **tools, **facts}


def chance_of(seed: int, example: Example, number: int) -> int:
    """The chance of an answer: the same wherever its question stands in a batch."""
    text = f"{seed} {example.fingerprint.hex()} {example.line} {number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "little")
