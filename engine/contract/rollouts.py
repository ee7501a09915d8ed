"""Learning from its own answers: how they are sampled, what rewards them, and how far a step may go."""

from typing import Literal

from engine.contract.options import Value
from engine.contract.setting import Settings, setting

RewardName = Literal["accuracy", "format", "cosine", "repetition", "overlong", "length", "file", "model"]


class RewardConfig(Settings):
    """One reward for an answer."""

    kind: RewardName = setting("accuracy", "What is rewarded.", label="Reward", basic=True)
    weight: float = setting(
        1.0, "How much it counts in the sum; below zero it is a punishment.", label="Weight", ge=-1000, le=1000
    )
    path: str = setting(
        "",
        "A Python file with a function reward(completions, prompts, **columns), or the folder of a reward model.",
        label="File or model",
        max_length=4096,
    )
    options: dict[str, Value] = setting(
        dict, "Options of the reward, by name; the reference lists them.", label="Options", max_length=32
    )


class RolloutConfig(Settings):
    """For the stages that learn from rewards; the others do not use it."""

    rewards: list[RewardConfig] = setting(
        list, "What answers are rewarded for; their weighted sum is learned from.", label="Rewards", max_length=16
    )
    answers: int = setting(
        8, "Answers sampled to each question; they are compared with each other.", label="Answers a question", ge=2,
        le=1024, usual=(4, 64),
    )  # fmt: skip
    max_tokens: int = setting(
        256, "Longest answer; what is left of the longest row is for the question.", label="Longest answer",
        unit="tokens", ge=1, le=65536,
    )  # fmt: skip
    temperature: float = setting(
        1.0, "How freely answers are sampled; lower, they are alike and little is learned.", label="Temperature",
        ge=0.01, le=10, usual=(0.5, 1.5),
    )  # fmt: skip
    top_p: float = setting(1.0, "Sample from the likeliest tokens that make up this share.", label="Top p", gt=0, le=1)
    top_k: int = setting(0, "Sample from so many of the likeliest tokens; 0: from all.", label="Top k", ge=0)
    iterations: int = setting(
        1, "Steps taken on the same answers before new ones are sampled.", label="Steps on the same answers", ge=1,
        le=64,
    )  # fmt: skip
    epsilon: float = setting(
        0.2, "How far the likelihood of a token may fall or rise before a step stops counting it.", label="Clipping",
        gt=0, lt=1,
    )  # fmt: skip
    epsilon_high: float | None = setting(
        None, "The same upwards; empty: as downwards. DAPO takes 0.28, CISPO needs about 5.", label="Clipping upwards",
        gt=0, le=1000,
    )  # fmt: skip
    beta: float = setting(
        0.0, "Pull towards the base model (KL); 0: none, and no base model is asked.", label="Pull to the base model",
        ge=0, le=1000,
    )  # fmt: skip
    scale_rewards: Literal["group", "batch", "none"] = setting(
        "group",
        "Divide by the spread of the rewards of a question's answers, or of all answers of the step, or not at all.",
        label="Scale rewards",
    )
    importance: Literal["token", "sequence"] = setting(
        "token", "Whether likelihoods are compared token by token or answer by answer (GSPO).", label="Compared by"
    )
    mask_truncated: bool = setting(
        False, "Learn nothing from answers that were cut at the longest length.", label="Leave out cut answers"
    )
    missing_eos_penalty: float | None = setting(
        None, "Taken off the reward of an answer that was cut at the longest length; empty: nothing.",
        label="Penalty for cut answers", ge=0, le=1000,
    )  # fmt: skip
    gamma: float = setting(1.0, "What a reward that comes a token later is worth.", label="Discount", gt=0, le=1)
    gae_lambda: float = setting(
        0.95, "How far ahead advantages look: 0 to the next token, 1 to the answer's end.", label="GAE lambda", ge=0,
        le=1,
    )  # fmt: skip
    value_coef: float = setting(
        0.1, "Weight of the critic's loss beside the policy's.", label="Weight of the critic", ge=0, le=1000
    )
    value_clip: float = setting(
        0.2, "How far the critic may change before a step stops counting it.", label="Clipping of the critic", gt=0,
        le=1000,
    )  # fmt: skip
    whiten_rewards: bool = setting(False, "Bring the rewards of a step's tokens to spread 1.", label="Whiten rewards")
    normalize_advantages: bool = setting(
        False, "Bring the advantages of a step to mean 0 and spread 1.", label="Normalise advantages"
    )
    keep_every: int = setting(
        10, "Every so many steps some answers are kept with their rewards, to look at.", label="Keep answers every",
        unit="steps", ge=1, le=1_000_000,
    )  # fmt: skip
    keep_answers: int = setting(
        4, "How many answers of such a step are kept; 0: none.", label="Answers kept", ge=0, le=1000
    )
