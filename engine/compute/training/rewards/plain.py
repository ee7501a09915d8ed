"""Rewards that are reckoned here, without a model: right answers, lengths, repetition."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from engine.compute.data.questions import Answer, Asked
from engine.contract.errors import UserError
from engine.contract.rewards import option
from engine.contract.rollouts import RewardConfig

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
Rewarding = Callable[[Asked, Answer], float]


def plain_reward(config: RewardConfig, longest: int) -> Rewarding:
    """The function behind a reward; `longest` is the limit of answers, in tokens."""
    makers: dict[str, Callable[[RewardConfig, int], Rewarding]] = {
        "accuracy": _accuracy, "cosine": _cosine, "repetition": _repetition, "overlong": _overlong, "length": _length,
    }  # fmt: skip
    return makers[config.kind](config, longest)


def is_right(config: RewardConfig, asked: Asked, answer: str) -> bool:
    """Whether an answer is the row's, read as the options say."""
    tolerance = float(option(config, "tolerance"))
    return any(_same(wanted, answer, str(option(config, "read")), tolerance) for wanted in _wanted(config, asked))


def _wanted(config: RewardConfig, asked: Asked) -> list[str]:
    """The right answer, or several that are all right."""
    column = str(option(config, "column"))
    found: Any = asked.columns.get(column) if column else asked.expected
    if found is None and not column:
        found = next((asked.columns[name] for name in ("answer", "solution", "target") if name in asked.columns), None)
    if found is None:
        known = ", ".join(asked.columns) or "—"
        raise UserError("rewards.no_answer_column", line=asked.line, column=column or "answer", known=known)
    values = found if isinstance(found, list) else [found]
    return [str(value).rpartition("#### ")[2] for value in values]


def _same(wanted: str, answer: str, read: str, tolerance: float) -> bool:
    said = _said(answer, read)
    if said is None:
        return False
    if _normal(said) == _normal(wanted):
        return True
    number = _number(wanted)
    if number is None:
        return False
    other = _number(said)
    if other is None and read == "auto":
        last = NUMBER.findall(said)
        other = _number(last[-1]) if last else None
    return other is not None and math.isclose(number, other, rel_tol=tolerance, abs_tol=tolerance * 1e-3)


def _said(answer: str, read: str) -> str | None:
    """What of an answer counts; None: it says nothing of the kind."""
    if read in ("auto", "tag"):
        tags = ANSWER.findall(answer)
        if tags or read == "tag":
            return tags[-1] if tags else None
    if read in ("auto", "boxed"):
        boxes = BOXED.findall(answer)
        if boxes or read == "boxed":
            return boxes[-1] if boxes else None
    if read == "number":
        numbers = NUMBER.findall(answer)
        return numbers[-1] if numbers else None
    return answer.rpartition("</think>")[2] if read == "auto" else answer


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).strip("\"'`$ ").rstrip(".。! ")


def _number(text: str) -> float | None:
    text = text.strip().strip("$€£¥% ").rstrip(".").replace(",", "")
    above, slash, below = text.partition("/")
    try:
        found = float(above) / float(below) if slash else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _accuracy(config: RewardConfig, _longest: int) -> Rewarding:
    return lambda asked, answer: float(is_right(config, asked, answer.text))


def _cosine(config: RewardConfig, longest: int) -> Rewarding:
    """As in trl: right answers fall from short to long, wrong ones rise."""
    most = int(option(config, "longest")) or longest
    right = float(option(config, "right_long")), float(option(config, "right_short"))
    wrong = float(option(config, "wrong_long")), float(option(config, "wrong_short"))

    def rewarding(asked: Asked, answer: Answer) -> float:
        low, high = right if is_right(config, asked, answer.text) else wrong
        share = min(len(answer.ids) / most, 1.0)
        return low + 0.5 * (high - low) * (1.0 + math.cos(share * math.pi))

    return rewarding


def _repetition(config: RewardConfig, _longest: int) -> Rewarding:
    size, most = int(option(config, "ngram")), float(option(config, "most"))

    def rewarding(_asked: Asked, answer: Answer) -> float:
        runs = list(zip(*(answer.ids[at:] for at in range(size)), strict=False))
        return (1 - len(set(runs)) / len(runs)) * most if runs else 0.0

    return rewarding


def _overlong(config: RewardConfig, longest: int) -> Rewarding:
    most = int(option(config, "longest")) or longest
    soft = min(int(option(config, "soft")) or max(1, most // 5), most)

    def rewarding(_asked: Asked, answer: Answer) -> float:
        over = len(answer.ids) - (most - soft)
        return 0.0 if over <= 0 else max(-1.0, -over / soft)

    return rewarding


def _length(config: RewardConfig, _longest: int) -> Rewarding:
    target = int(option(config, "target"))
    return lambda _asked, answer: max(0.0, 1.0 - abs(len(answer.ids) - target) / target)
