"""All rewards of a run together: of each answer what each reward gives, and their weighted sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.compute.data.questions import Answer, Asked
from engine.compute.training.rewards.judged import FileReward, FormReward
from engine.compute.training.rewards.plain import Rewarding, plain_reward
from engine.contract.rewards import names_of
from engine.contract.rollouts import RewardConfig, RolloutConfig

Scores = dict[str, list[float | None]]
"""By reward: of each answer, or None where it is not judged."""


class Scoring(Protocol):
    """A reward that needs something open."""

    def score(self, asked: Asked, answers: Sequence[Answer]) -> list[float | None]:
        """Of the answers to one question."""

    def close(self) -> None:
        """Let it go."""


class _Plain:
    """One that needs nothing."""

    def __init__(self, rewarding: Rewarding) -> None:
        self._rewarding = rewarding

    def score(self, asked: Asked, answers: Sequence[Answer]) -> list[float | None]:
        """One by one."""
        return [self._rewarding(asked, answer) for answer in answers]

    def close(self) -> None:
        """Nothing is open."""


class Judge:
    """Asks every reward about the answers to each question."""

    def __init__(
        self,
        config: RolloutConfig,
        models: Callable[[RewardConfig], Scoring] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`models` makes the reward of a model; without it such a reward cannot be used. `check` may raise."""
        self.names, self.weights = names_of(config.rewards), [reward.weight for reward in config.rewards]
        self._longest, self._models, self._check = config.max_tokens, models, check
        self._scoring: list[Scoring] = []
        try:
            for reward in config.rewards:
                self._scoring.append(self._made(reward))
        except BaseException:
            self.close()
            raise

    def _made(self, reward: RewardConfig) -> Scoring:
        if reward.kind == "file":
            return FileReward(reward, self._check)
        if reward.kind == "format":
            return FormReward(reward, self._check)
        if reward.kind == "model":
            assert self._models is not None
            return self._models(reward)
        return _Plain(plain_reward(reward, self._longest))

    @property
    def held_bytes(self) -> int:
        """Of models."""
        return sum(int(getattr(scoring, "bytes", 0)) for scoring in self._scoring)

    def score(self, asked: Sequence[Asked], answers: Sequence[Answer]) -> Scores:
        """Of all answers, those to one question side by side and as many to each."""
        each = len(answers) // max(1, len(asked))
        found: Scores = {name: [] for name in self.names}
        for name, scoring in zip(self.names, self._scoring, strict=True):
            for place, question in enumerate(asked):
                self._check()
                found[name] += scoring.score(question, answers[place * each : (place + 1) * each])
        return found

    def total(self, scores: Scores) -> list[float]:
        """The weighted sum of each answer; NaN where no reward judged it."""
        rows: list[tuple[Any, ...]] = list(zip(*(scores[name] for name in self.names), strict=True))
        return [self._sum(row) for row in rows]

    def _sum(self, row: Sequence[float | None]) -> float:
        judged = [value * weight for value, weight in zip(row, self.weights, strict=True) if value is not None]
        return sum(judged) if judged else math.nan

    def close(self) -> None:
        """End what is open."""
        for scoring in self._scoring:
            scoring.close()
