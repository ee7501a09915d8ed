"""What is asked about single rows of a run, and answered: a step's rows, a row's course, and rankings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.data import DataSource
from engine.contract.model import ModelConfig

RankingKind = Literal["never_learned", "memorised", "contradictory"]
RANKINGS: tuple[RankingKind, ...] = ("never_learned", "memorised", "contradictory")
DEFINITIONS: dict[RankingKind, str] = {
    "never_learned": "Rows met at least twice whose last loss is at least 1.5 times that of the median row and at "
    "least 70 % of their own first loss. The highest last loss comes first.",
    "memorised": "Rows whose loss fell below 0.1 and below a tenth of the median row's at the same meeting. Those "
    "that fell at the earliest meeting come first.",
    "contradictory": "Rows that ask the same as another row and are answered otherwise; and rows whose last loss is "
    "over 110 % of their first while the median row's fell below 90 %. The highest last loss comes first.",
}
"""A meeting is one pass of a row through the model; a loss is the mean over the row's learned tokens."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class RowKey(_Body):
    """A row of a run."""

    source: int
    """Its dataset, by its place in the config; one past the last: what the model says about itself."""
    line: int
    """Line of the file, or number of the row in a version, from 1."""
    hash: str
    """Fingerprint of its content."""


class RowOfStep(_Body):
    """A row that was learned from in a step."""

    key: RowKey
    loss: float
    """Mean over its learned tokens."""
    tokens: int
    """That were learned."""


class StepRows(_Body):
    """What one step learned from."""

    step: int
    """The step asked for, or the nearest of which rows were kept."""
    attempt: int = 0
    steps: int = 0
    """How many steps have rows."""
    rows: list[RowOfStep] = []
    """The highest loss first."""
    datasets: list[str] = []
    """Names of the config's datasets, in their order."""
    values: dict[str, float] = {}
    """Of the curves at this step: loss, learning_rate, grad_norm …"""
    device: dict[str, float] = {}
    """The machine's reading next to it in time."""
    at: float | None = None


class Meeting(_Body):
    """A row met in a step."""

    step: int
    loss: float


class RowHistory(_Body):
    """A row's course."""

    key: RowKey
    tokens: int = 0
    meetings: list[Meeting] = []
    median: list[float] = []
    """Of all rows at their first, second … meeting."""


class RankedRow(_Body):
    """A row of a ranking."""

    key: RowKey
    first: float
    last: float
    meetings: int
    tokens: int
    why: Literal["high", "early", "two_answers", "rises"]
    at: int | None = None
    """Early: the number of the meeting, from 1."""
    group: int | None = None
    """Two answers: rows that ask the same have the same number."""


class Ranking(_Body):
    """Rows of one kind."""

    kind: RankingKind
    definition: str
    rows: list[RankedRow] = []
    total: int = 0
    """Before the list was cut."""
    rows_seen: int = 0
    meetings: float = 0.0
    """Of the median row; below 2 nothing can be said."""
    datasets: list[str] = []


class RowTexts(_Body):
    """Asks `row_texts`: what rows of one dataset say, found by their lines."""

    source: DataSource
    lines: list[int] = Field(max_length=2000)
    most: int = Field(default=400, ge=10, le=20_000)
    """Characters of each."""


class RowText(_Body):
    """What a row says."""

    line: int
    prompt: str
    answer: str
    hash: str
    """The fingerprint a version of the library knows it by."""


class RowTextsAnswer(_Body):
    """Texts; rows that could not be found or read are left out."""

    rows: list[RowText]


class TokenLosses(_Body):
    """Asks `token_losses`: the loss of each token of a row, under the base model or a state of training."""

    model: ModelConfig
    source: DataSource
    line: int
    stage: str = "sft"
    max_length: int = Field(default=1024, ge=8)
    assistant_only_loss: bool = True
    tuner: dict[str, Any] = {}
    run: str = ""
    state: str = ""
    """Below the run's folder: `checkpoints/a1-s20`, `attempts/1/outputs/adapter`; empty: the base model."""


class TokenLoss(_Body):
    """One token."""

    text: str
    trained: bool
    loss: float | None = None
    """None of the first, which nothing foretells."""


class TokenLossesAnswer(_Body):
    """A row's tokens."""

    tokens: list[TokenLoss]
    mean: float | None = None
    """Over the learned ones."""
    cut: bool = False
