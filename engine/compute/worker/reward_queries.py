"""Helper query about rewards: what they give answers to the first rows of a dataset. Loads no model."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

from engine.contract.reward_preview import PreviewRewards, RewardedAnswer, RewardedRow, RewardsPreview

SECONDS = 3.0

if TYPE_CHECKING:
    from engine.compute.data.rows import Example
    from engine.compute.training.rewards.judge import Judge
    from engine.compute.worker.queries import QueryOrder
    from engine.contract.rollouts import RewardConfig


def preview_rewards(order: QueryOrder) -> dict[str, Any]:
    """Each row apart: one that breaks a reward does not hide the others."""
    from engine.compute.data.row_view import first_examples
    from engine.compute.training.rewards.judge import Judge
    from engine.contract.bundled import DATASETS, locate
    from engine.contract.errors import UserError
    from engine.contract.rewards import names_of

    asked = PreviewRewards.model_validate(order.params)
    path = locate(asked.source)
    if path is None:
        raise UserError("data.not_here", path=asked.source.path, choices=", ".join(DATASETS))
    examples = first_examples(path, asked.source.format, asked.rows)
    named = zip(names_of(asked.rollouts.rewards), asked.rollouts.rewards, strict=True)
    left_out = [name for name, reward in named if reward.kind == "model"]
    kept = [_quick(reward) for reward in asked.rollouts.rewards if reward.kind != "model"]
    judge = Judge(asked.rollouts.model_copy(update={"rewards": kept}))
    try:
        rows = [_row(judge, example, asked) for example in examples]
    finally:
        judge.close()
    return RewardsPreview(rows=rows, left_out=left_out).model_dump()


def _quick(reward: RewardConfig) -> RewardConfig:
    """A file has less time than in a run: somebody waits for the answer."""
    if reward.kind != "file":
        return reward
    seconds = min(float(reward.options.get("seconds", SECONDS)), SECONDS)
    return reward.model_copy(update={"options": {**reward.options, "seconds": seconds}})


def _row(judge: Judge, example: Example, asked: PreviewRewards) -> RewardedRow:
    from engine.compute.data.questions import Answer, Asked, question_of
    from engine.contract.errors import UserError

    turns, expected = question_of(example)
    question = Asked(array("i"), turns, expected, example.extra, example.line, asked.rollouts.max_tokens)
    texts = asked.answers or [text for text in (expected, "") if text is not None]
    # Without a tokenizer words stand for tokens; bytes would make every answer long.
    answers = [Answer([hash(word) for word in text.split()], text, True) for text in texts]
    made = RewardedRow(line=example.line, prompt=question.prompt[:2000])
    try:
        scores = judge.score([question], answers)
    except UserError as error:
        return made.model_copy(update={"error": error.body()})
    totals = judge.total(scores)
    made.answers = [
        RewardedAnswer(
            answer=text[:2000], rewards={name: values[n] for name, values in scores.items()},
            total=None if math.isnan(totals[n]) else totals[n],
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    return made
