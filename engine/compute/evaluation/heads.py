"""How good classes, numbers and orders of texts are: plain reckoning on what a model said and what was right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contract.api import ClassScore

MOST_CLASSES = 60
"""Of so many classes a score tells; a line of the journal has an end."""


@dataclass
class HeadScore:
    """What comes out of a measurement."""

    metric: str
    value: float
    """0 to 1."""
    rows: int
    correct: int | None = None
    more: dict[str, float] = field(default_factory=dict)
    classes: list[ClassScore] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Of each row: prompt, expected, answer, correct."""


def class_scores(names: Sequence[str], right: Sequence[set[int]], said: Sequence[set[int]]) -> list[ClassScore]:
    """Of each class that is there or was said to be."""
    found = []
    for place, name in enumerate(names):
        rows, given = sum(place in one for one in right), sum(place in one for one in said)
        both = sum(place in one and place in other for one, other in zip(right, said, strict=True))
        if rows or given:
            found.append(ClassScore(label=name[:80], rows=rows, given=given, right=both, f1=_f1(rows, given, both)))
    return found


def of_classes(names: Sequence[str], right: Sequence[set[int]], said: Sequence[set[int]], several: bool) -> HeadScore:
    """Accuracy, or, where a row may have several classes, F1 over all decisions; macro F1 beside either."""
    classes = class_scores(names, right, said)
    macro = sum(one.f1 for one in classes) / max(1, len(classes))
    exact = sum(one == other for one, other in zip(right, said, strict=True))
    rows, shown = len(right), sorted(classes, key=lambda one: -one.rows)[:MOST_CLASSES]
    if not several:
        return HeadScore("accuracy", exact / max(1, rows), rows, exact, {"macro_f1": macro}, shown)
    micro = _f1(sum(map(len, right)), sum(map(len, said)), sum(one.right for one in classes))
    return HeadScore("micro_f1", micro, rows, None, {"macro_f1": macro, "exact": exact / max(1, rows)}, shown)


def of_numbers(right: Sequence[float], said: Sequence[float]) -> HeadScore:
    """How far numbers follow those that are right: the value is their correlation, 0 where it is none."""
    errors = [(one - other) ** 2 for one, other in zip(right, said, strict=True)]
    found = pearson(right, said)
    more = {"mse": sum(errors) / max(1, len(errors)), "pearson": found}
    return HeadScore("pearson", min(1.0, max(0.0, found)), len(right), None, more)


def of_ranks(metric: str, ranks: Sequence[int]) -> HeadScore:
    """Of places at which what is right was found, from 1: `recall_at_1` or `mrr` is the value."""
    rows = max(1, len(ranks))
    first = sum(rank == 1 for rank in ranks)
    mean = sum(1 / rank for rank in ranks) / rows
    gain = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= 10) / rows
    recall = sum(rank <= 10 for rank in ranks) / rows
    if metric == "mrr":
        return HeadScore("mrr", mean, len(ranks), None, {"ndcg_at_10": gain, "recall_at_1": first / rows})
    return HeadScore("recall_at_1", first / rows, len(ranks), first, {"recall_at_10": recall, "mrr": mean})


def rank_of(scores: Sequence[float], right: int) -> int:
    """The place of one of several, from 1; behind all that are no worse, so that equal scores gain nothing."""
    mine = scores[right]
    return 1 + sum(not other < mine for place, other in enumerate(scores) if place != right)


def pearson(one: Sequence[float], other: Sequence[float]) -> float:
    """Correlation; 0 where one of them never changes."""
    count = len(one)
    if count < 2:
        return 0.0
    mean, theirs = sum(one) / count, sum(other) / count
    both = sum((a - mean) * (b - theirs) for a, b in zip(one, other, strict=True))
    spread = math.sqrt(sum((a - mean) ** 2 for a in one) * sum((b - theirs) ** 2 for b in other))
    found = both / spread if spread > 0 else 0.0
    return found if math.isfinite(found) else 0.0


def _f1(rows: int, given: int, right: int) -> float:
    return 2 * right / (rows + given) if rows + given else 0.0
