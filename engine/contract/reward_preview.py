"""What the helper query `preview_rewards` is asked and answers: rewards for some answers, before a run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.data import DataSource
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig
from engine.contract.rollouts import RolloutConfig


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class PreviewRewards(_Body):
    """Asks what rewards would give. No model is loaded, so rewards of models are left out."""

    model: ModelConfig
    source: DataSource
    rollouts: RolloutConfig
    rows: int = Field(default=3, ge=1, le=50)
    answers: list[str] = Field(default=[], max_length=20)
    """Tried with each row; none: the row's own answer, and an empty one."""


class RewardedAnswer(_Body):
    """An answer and what each reward gave it."""

    answer: str
    rewards: dict[str, float | None]
    total: float | None


class RewardedRow(_Body):
    """A row with answers to it."""

    line: int
    prompt: str
    answers: list[RewardedAnswer] = []
    error: ErrorBody | None = None
    """Why a reward could not be had."""


class RewardsPreview(_Body):
    """The answer."""

    rows: list[RewardedRow] = []
    left_out: list[str] = []
    """Rewards that need a model."""
