"""Exact match: how many held-out rows the model answers as expected, to the letter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.compute.data.rows import Example, Turn
from engine.compute.data.templates import Template
from engine.compute.inference.generate import Generator
from engine.contract.errors import UserError


@dataclass(frozen=True)
class Question:
    """What is asked, and the answer that counts."""

    turns: tuple[Turn, ...]
    expected: str

    @property
    def prompt(self) -> str:
        """The last thing said before the answer."""
        return self.turns[-1]["content"] if self.turns else ""


@dataclass(frozen=True)
class Answered:
    """A question with the model's answer."""

    prompt: str
    expected: str
    answer: str
    correct: bool


def questions_of(examples: Sequence[Example]) -> list[Question]:
    """Everything up to the last answer of each row is the question."""
    questions = []
    for example in examples:
        last = max((n for n, turn in enumerate(example.turns) if turn["role"] == "assistant"), default=0)
        if last == 0:
            raise UserError("data.no_question", line=example.line)
        questions.append(Question(example.turns[:last], example.turns[last]["content"]))
    return questions


def measure(
    generator: Generator,
    template: Template,
    questions: Sequence[Question],
    max_new_tokens: int,
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> list[Answered]:
    """Ask every question, in batches of like length; answers in the order of the questions."""
    prompts = [template.render(question.turns, prompt=True) for question in questions]
    answers = generator.answers(prompts, max_new_tokens, progress, check)
    return [
        Answered(question.prompt, question.expected, answer, answer.strip() == question.expected.strip())
        for question, answer in zip(questions, answers, strict=True)
    ]


def write_answers(path: Path, answered: Sequence[Answered]) -> None:
    """One JSON object a line, whole texts."""
    lines = (json.dumps(asdict(answer), ensure_ascii=False) for answer in answered)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
