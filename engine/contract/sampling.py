"""A dataset made by a model: which model answers which questions, and which of its answers become rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from engine.contract import rewards as judged
from engine.contract.data import DataSource
from engine.contract.datasets import DATASET_NAME
from engine.contract.errors import Problem
from engine.contract.model import ModelConfig
from engine.contract.rollouts import RewardConfig, RolloutConfig
from engine.contract.setting import Settings, setting
from engine.contract.states import Lane

Choice = Literal["all", "best_n", "threshold", "best_worst"]


class SampleJob(Settings):
    """Have a model answer the questions of a dataset; its answers become a version of a dataset of the library."""

    kind: Literal["sample"] = "sample"
    dataset: str = setting(
        ..., "The dataset of the library that gets the answers; one that is not there yet is made.",
        label="New dataset", basic=True, min_length=1, max_length=120, pattern=DATASET_NAME,
    )  # fmt: skip
    model: ModelConfig = setting(..., "The model that answers.", label="Model")
    adapter: str = setting(
        "", "Folder of an adapter or a checkpoint the model answers with; empty: none.", label="Adapter or checkpoint",
        max_length=4096,
    )  # fmt: skip
    source: DataSource = setting(
        ..., "The questions: prompts, or conversations whose last answer is left out.", label="Questions"
    )
    answers: int = setting(
        1, "Answers sampled to each question.", label="Answers a question", basic=True, ge=1, le=1024, usual=(1, 64)
    )
    max_tokens: int = setting(256, "Longest answer.", label="Longest answer", unit="tokens", ge=1, le=65536)
    max_length: int = setting(
        2048, "Longest question with its answer; longer questions are left out.", label="Longest row", unit="tokens",
        ge=8, le=1_048_576,
    )  # fmt: skip
    temperature: float = setting(
        1.0, "How freely answers are sampled; 0: the likeliest token each time.", label="Temperature", ge=0, le=10,
        usual=(0.3, 1.5),
    )  # fmt: skip
    top_p: float = setting(1.0, "Sample from the likeliest tokens that make up this share.", label="Top p", gt=0, le=1)
    top_k: int = setting(0, "Sample from so many of the likeliest tokens; 0: from all.", label="Top k", ge=0)
    seed: int = setting(
        0, "Begins the chance of each answer, together with the question's number and the answer's.", label="Seed",
        ge=0, le=2**31 - 1,
    )  # fmt: skip
    batch_size: int = setting(
        16, "Answers sampled side by side; more are quicker and take more memory.", label="Answers at once", ge=1,
        le=4096,
    )  # fmt: skip
    rewards: list[RewardConfig] = setting(
        list, "What answers are rewarded for; they are chosen by the weighted sum.", label="Rewards", max_length=16
    )
    choose: Choice = setting(
        "all",
        "Which answers become rows: all, the best of each question, those whose reward reaches a threshold, or pairs "
        "of the best and the worst.",
        label="Answers kept",
        basic=True,
    )
    keep: int = setting(
        1, "So many of the best answers to each question are kept.", label="Best answers", ge=1, le=1024
    )
    threshold: float = setting(0.0, "Least reward of an answer that is kept.", label="Least reward")
    margin: float = setting(
        0.0, "How much more the better answer of a pair must be worth at least; equal answers never make a pair.",
        label="Least difference", ge=0,
    )  # fmt: skip
    keep_cut: bool = setting(
        False, "Keep answers that were cut at the longest length as well.", label="Keep cut answers"
    )

    @property
    def lane(self) -> Lane:
        """It waits for a device, as training does."""
        return Lane.GPU

    @property
    def rollouts(self) -> RolloutConfig:
        """The rewards as a judge takes them."""
        return RolloutConfig(rewards=self.rewards, max_tokens=self.max_tokens)


def contradictions(job: SampleJob) -> Iterator[Problem]:
    """Settings that are valid one by one and not together."""
    if job.model.hub == "scratch":
        yield Problem(code="sample.from_scratch", field="model.hub")
    if job.choose != "all" and not job.rewards:
        yield Problem(code="sample.no_rewards", field="rewards", params={"choose": job.choose})
    if job.choose == "best_n" and job.keep > job.answers:
        yield Problem(code="sample.keep_too_many", field="keep", params={"keep": job.keep, "answers": job.answers})
    if job.choose == "best_worst" and job.answers < 2:
        yield Problem(code="sample.one_answer", field="answers")
    if job.temperature == 0 and job.answers > 1:
        yield Problem(code="sample.all_alike", field="temperature", params={"answers": job.answers})
    if job.max_tokens >= job.max_length:
        params = {"answer": job.max_tokens, "length": job.max_length}
        yield Problem(code="sample.no_room", field="max_tokens", params=params)
    if job.rewards:
        yield from _of_rewards({"rollouts": {"rewards": [one.model_dump() for one in job.rewards]}})


def _of_rewards(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the rewards, by the names they have here."""
    for problem in judged.contradictions(document):
        if problem.field and problem.field.startswith("rollouts.rewards"):
            yield here(problem)


def here(problem: Problem) -> Problem:
    """A problem of rewards, under the name they have in this job."""
    return problem.model_copy(update={"field": (problem.field or "").removeprefix("rollouts.")})
