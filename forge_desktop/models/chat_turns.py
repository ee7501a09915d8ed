"""A chat as plain values: columns that answer, turns with an answer a column, how answers are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.client.serving import Piece, Token
from engine.contract.errors import ErrorBody

MOST_COLUMNS = 4
LIKELY = 5
"""Alternatives that are asked for at each token."""
BASE, AUTO, ADAPTER, RUN = "base", "auto", "adapter", "run"
Mode = Literal["compare", "single", "batch"]
State = Literal["coming", "done", "stopped", "failed"]


class Sampling(BaseModel):
    """How answers are drawn."""

    model_config = ConfigDict(extra="ignore")

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int = Field(default=0, ge=0, le=200)
    """0: any."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    max_tokens: int = Field(default=512, ge=1, le=8192)
    repetition_penalty: float = Field(default=1.0, ge=0.5, le=2)
    weight: float = Field(default=1.0, ge=0, le=2)
    """Strength of an adapter."""
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)


@dataclass
class Column:
    """Who answers: the base, the router, an adapter, or a checkpoint of a run."""

    id: str
    kind: str = BASE
    name: str = ""
    """The adapter's name in requests; of a run, that of the checkpoint that answers now (empty: the base)."""
    run: str = ""
    """Whose checkpoints are walked through."""
    run_name: str = ""
    step: int = 0

    @property
    def key(self) -> str:
        """Who answers, in one text."""
        return self.kind if self.kind in (BASE, AUTO) else self.name or BASE

    def model(self, base: str) -> str:
        """The model requests ask for."""
        return base if self.key == BASE else self.key


@dataclass
class Answer:
    """What a column said, and how quickly."""

    by: str
    """`Column.key`."""
    text: str = ""
    state: State = "coming"
    tokens: list[Token] = field(default_factory=list)
    number: int | None = None
    """Tokens of the answer; None: not told."""
    first: float | None = None
    whole: float | None = None
    error: ErrorBody | None = None
    preferred: bool = False
    routed: str | None = None
    """Whom the router chose; empty: the base. None: it was not asked."""

    def take(self, pieces: list[Piece], first: float | None) -> None:
        """Add what came."""
        self.text += "".join(one.text for one in pieces)
        for one in pieces:
            self.tokens += one.tokens
            self.number = one.answer if one.answer is not None else self.number
            self.first = _seconds(one.times.get("first")) or self.first
            self.whole = _seconds(one.times.get("whole")) or self.whole
            if "routed" in one.times:
                self.routed = "+".join(map(str, one.times.get("adapters") or ()))
        self.first = self.first or first

    @property
    def rate(self) -> float | None:
        """Tokens a second, from the first one on."""
        if not self.number or self.whole is None:
            return None
        after = self.whole - (self.first or 0.0)
        return self.number / after if after > 0 else None

    @property
    def is_usable(self) -> bool:
        """There is something to show the model as what was said."""
        return self.state in ("done", "stopped") and bool(self.text)


@dataclass(eq=False)
class Turn:
    """What a person wrote, and what each column answered; another of the same words is not the same turn."""

    user: str
    answers: dict[str, Answer] = field(default_factory=dict)


@dataclass
class Chat:
    """A whole chat."""

    columns: list[Column] = field(default_factory=lambda: [Column("1"), Column("2")])
    turns: list[Turn] = field(default_factory=list)
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    mode: Mode = "compare"

    def shown(self) -> list[Column]:
        """The columns that are asked now."""
        return self.columns[:1] if self.mode == "single" else self.columns

    def messages(self, column: str, before: int) -> list[dict[str, str]]:
        """What a column is shown of the turns before one, and that turn's question."""
        found = [{"role": "system", "content": self.system}] if self.system.strip() else []
        for turn in self.turns[:before]:
            said = turn.answers.get(column)
            if said is not None and said.is_usable:
                found += [{"role": "user", "content": turn.user}, {"role": "assistant", "content": said.text}]
        return [*found, {"role": "user", "content": self.turns[before].user}] if before < len(self.turns) else found

    def body(self, column: Column, base: str, messages: list[dict[str, str]], chances: bool) -> dict[str, Any]:
        """A request in OpenAI's form."""
        drawn, model = self.sampling, column.model(base)
        body: dict[str, Any] = {
            "model": model, "messages": messages, "temperature": drawn.temperature, "top_p": drawn.top_p,
            "max_tokens": drawn.max_tokens,
        }  # fmt: skip
        if drawn.top_k:
            body["top_k"] = drawn.top_k
        if drawn.min_p:
            body["min_p"] = drawn.min_p
        if drawn.repetition_penalty != 1:
            body["repetition_penalty"] = drawn.repetition_penalty
        if drawn.seed is not None:
            body["seed"] = drawn.seed
        if drawn.weight != 1 and column.key not in (BASE, AUTO):
            body |= {"model": base, "adapters": {column.name: drawn.weight}}  # a name alone stands for the whole weight
        if chances:
            body |= {"logprobs": True, "top_logprobs": LIKELY}
        return body


def pairs_of(chat: Chat) -> Iterator[dict[str, Any]]:
    """What was preferred, as rows of a preference dataset; prompts are messages, for a chat has a past."""
    for place, turn in enumerate(chat.turns):
        for column, chosen in turn.answers.items():
            if not chosen.preferred or not chosen.is_usable:
                continue
            for other in turn.answers.values():
                if other is not chosen and other.is_usable and not other.preferred and other.text != chosen.text:
                    yield pair(chat.messages(column, place), chosen.text, other.text)


def pair(prompt: list[dict[str, str]], chosen: str, rejected: str) -> dict[str, Any]:
    """A row of a preference dataset."""
    return {
        "prompt": prompt,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def to_plain(chat: Chat) -> dict[str, Any]:
    """As it is kept; how likely tokens were is not."""
    return {
        "columns": [vars(one) for one in chat.columns],
        "turns": [
            {"user": turn.user, "answers": {column: _plain(said) for column, said in turn.answers.items()}}
            for turn in chat.turns
        ],
        "system": chat.system,
        "sampling": chat.sampling.model_dump(),
        "mode": chat.mode,
    }


def _plain(said: Answer) -> dict[str, Any]:
    """One that was still coming when it was kept stopped there."""
    return {
        "by": said.by, "text": said.text, "state": "stopped" if said.state == "coming" else said.state,
        "number": said.number, "first": said.first, "whole": said.whole, "preferred": said.preferred,
        "routed": said.routed,
        "error": said.error.model_dump(mode="json") if said.error is not None else None,
    }  # fmt: skip


def from_plain(stored: object) -> Chat:
    """A chat that was kept; a new one where that cannot be read, for instance by another version."""
    if not isinstance(stored, dict):
        return Chat()
    try:
        columns = [Column(**one) for one in stored["columns"]][:MOST_COLUMNS]
        turns = [
            Turn(str(one["user"]), {key: _answer(said) for key, said in one["answers"].items()})
            for one in stored["turns"]
        ]
        mode: Mode = stored["mode"] if stored["mode"] in ("compare", "single", "batch") else "compare"
        sampling = Sampling.model_validate(stored["sampling"])
        return Chat(columns or [Column("1")], turns, str(stored["system"]), sampling, mode)
    except (KeyError, TypeError, ValueError, AttributeError, ValidationError):
        return Chat()


def _answer(stored: dict[str, Any]) -> Answer:
    error = ErrorBody.model_validate(stored["error"]) if stored.get("error") else None
    return Answer(**{**stored, "error": error, "tokens": []})


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
