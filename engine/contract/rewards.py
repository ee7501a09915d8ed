"""Every reward by one declaration: what it rewards, its options, and what is wrong with those that were given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.options import Option, check_given
from engine.contract.rollouts import RewardConfig

READ = ("auto", "whole", "tag", "boxed", "number")
PATTERNS = {
    "think_answer": r"<think>(?:(?!<think>).)*?</think>\s*<answer>.*?</answer>",
    "think": r"<think>(?:(?!<think>).)*?</think>.*",
    "answer": r".*<answer>.*?</answer>\s*",
    "boxed": r".*\\boxed\{.+\}.*",
    "json": r"\s*[\[{].*[\]}]\s*",
}
"""Presets of the reward format; an answer must match as a whole."""
_ANSWER: dict[str, Option] = {
    "column": {"type": "str", "default": "", "says": "Column with the right answer; empty: the row's own answer."},
    "read": {
        "type": "str", "default": "auto", "choices": list(READ),
        "says": "What of an answer counts: all, what stands in `<answer>` or `\\boxed{}`, or its last number.",
    },
    "tolerance": {"type": "float", "default": 1e-6, "least": 0, "says": "How far numbers may be apart, as a share."},
}  # fmt: skip


@dataclass(frozen=True)
class Reward:
    """A way of judging an answer."""

    name: str
    says: str
    """One sentence, for the wizard and the docs."""
    options: Mapping[str, Option] = field(default_factory=dict)
    path: Literal["", "file", "model"] = ""
    """What its path names, where it needs one."""


_ALL = (
    Reward("accuracy", "1 for an answer that is the row's, numbers compared as numbers; else 0.", _ANSWER),
    Reward(
        "format", "1 for an answer of a certain form; else 0.",
        {
            "preset": {"type": "str", "default": "", "choices": ["", *PATTERNS], "says": "A usual form."},
            "pattern": {"type": "str", "default": "", "says": "A regular expression the whole answer must match."},
            "seconds": {
                "type": "float", "default": 10.0, "least": 0.1, "most": 3600,
                "says": "Time that matching the answers to one question may take.",
            },
        },
    ),
    Reward(
        "cosine", "Right answers, the shorter the better; wrong ones, the longer the less bad (arXiv 2502.03373).",
        {
            **_ANSWER,
            "longest": {"type": "int", "default": 0, "least": 0, "says": "Tokens that count as long; 0: the limit."},
            "wrong_short": {"type": "float", "default": -1.0, "says": "For a short wrong answer."},
            "wrong_long": {"type": "float", "default": -0.5, "says": "For a long wrong answer."},
            "right_long": {"type": "float", "default": 0.5, "says": "For a long right answer."},
            "right_short": {"type": "float", "default": 1.0, "says": "For a short right answer."},
        },
    ),
    Reward(
        "repetition", "A punishment by the share of tokens that repeat what was said (arXiv 2502.03373).",
        {
            "ngram": {"type": "int", "default": 3, "least": 1, "says": "How many tokens in a row count as said."},
            "most": {"type": "float", "default": -1.0, "most": 0, "says": "For an answer that only repeats itself."},
        },
    ),
    Reward(
        "overlong", "A punishment that grows to -1 near the longest answer (DAPO, arXiv 2503.14476).",
        {
            "longest": {"type": "int", "default": 0, "least": 0, "says": "Tokens; 0: the limit."},
            "soft": {"type": "int", "default": 0, "least": 0, "says": "Tokens before it, where it grows; 0: a fifth."},
        },
    ),
    Reward(
        "length", "1 at a wanted length, less on both sides of it, 0 from twice as long.",
        {"target": {"type": "int", "default": 64, "least": 1, "says": "Wanted tokens."}},
    ),
    Reward(
        "file", "What a Python function of yours says.",
        {
            "function": {"type": "str", "default": "reward", "says": "Its name."},
            "seconds": {
                "type": "float", "default": 10.0, "least": 0.1, "most": 3600,
                "says": "Time it may take for the answers to one question.",
            },
            "memory_gb": {"type": "float", "default": 2.0, "least": 0.1, "most": 1024, "says": "Memory it may take."},
        },
        "file",
    ),
    Reward("model", "The score of a reward model, made by the stage reward.", {}, "model"),
)  # fmt: skip
REWARDS: dict[str, Reward] = {reward.name: reward for reward in _ALL}


def option(config: RewardConfig, name: str) -> Any:
    """An option as it was given, or its default."""
    return config.options.get(name, REWARDS[config.kind].options[name]["default"])


def names_of(rewards: Sequence[RewardConfig]) -> list[str]:
    """What each is called in curves and files; of several of a kind the later ones are numbered."""
    found, seen = list[str](), dict[str, int]()
    for reward in rewards:
        seen[reward.kind] = seen.get(reward.kind, 0) + 1
        found.append(reward.kind if seen[reward.kind] == 1 else f"{reward.kind}_{seen[reward.kind]}")
    return found


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the rewards and the sampling, in a document that may not validate."""
    rollouts, data = (_group(document, name) for name in ("rollouts", "data"))
    rewards = rollouts.get("rewards")
    listed = rewards if isinstance(rewards, list) else []
    if not listed:
        yield Problem(code="rewards.none", field="rollouts.rewards", params={"stage": str(document.get("stage"))})
    elif all(isinstance(one, Mapping) and one.get("weight", 1.0) == 0 for one in listed):
        yield Problem(code="rewards.no_weight", field="rollouts.rewards")
    for place, one in enumerate(listed):
        if isinstance(one, Mapping) and one.get("kind", "accuracy") in REWARDS:
            yield from _wrong(one, f"rollouts.rewards.{place}")
    longest, room = rollouts.get("max_tokens", 256), data.get("max_length", 1024)
    if _whole(longest) and _whole(room) and longest >= room:
        params = {"answer": longest, "length": room}
        yield Problem(code="rewards.no_room", field="rollouts.max_tokens", params=params)


def _wrong(one: Mapping[str, Any], at: str) -> Iterator[Problem]:
    reward, given = REWARDS[str(one.get("kind", "accuracy"))], one.get("options")
    options: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    path = one.get("path", "")
    if reward.path and not path:
        code = "rewards.file_needed" if reward.path == "file" else "rewards.model_needed"
        yield Problem(code=code, field=f"{at}.path")
    found = list(check_given(reward.name, options, reward.options, f"{at}.options"))
    yield from found
    if found:
        return
    for name, value in options.items():
        known = reward.options[name]
        if "choices" in known or isinstance(value, str | bool):
            continue
        if value < known.get("least", value) or value > known.get("most", value) or value != value:
            limits = f"{known.get('least', '-∞')} … {known.get('most', '∞')}"
            params = {"option": name, "value": str(value), "limits": limits}
            yield Problem(code="rewards.out_of_range", field=f"{at}.options.{name}", params=params)
    if reward.name == "format":
        yield from _pattern(options, at)


def _pattern(options: Mapping[str, Any], at: str) -> Iterator[Problem]:
    pattern, preset = options.get("pattern", ""), options.get("preset", "")
    if bool(pattern) == bool(preset):
        yield Problem(code="rewards.one_form", field=f"{at}.options.pattern", params={"presets": ", ".join(PATTERNS)})
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        params = {"detail": str(error)[:200]}
        yield Problem(code="rewards.bad_pattern", field=f"{at}.options.pattern", params=params)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _group(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}
