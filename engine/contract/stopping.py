"""When a run ends before its last step because nothing gets better, and which of its states is the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.setting import Settings, setting

Metric = Literal["validation_loss", "score"]
SCORE = "score"
"""Exact match on the held-out rows, measured whenever the validation loss is."""


class StoppingConfig(Settings):
    """Early stop and result."""

    patience: int | None = setting(
        None,
        "End after so many measurements in a row without a better one; empty: train to the last step.",
        label="Early stop after",
        ge=1,
        le=100_000,
    )
    min_delta: float = setting(
        0.0, "How much better a measurement must be to count as better.", label="Least gain", ge=0, le=1e9
    )
    metric: Metric = setting(
        "validation_loss",
        "What is measured: the loss on the validation rows, or the score on the held-out rows.",
        label="Measured by",
    )
    better: Literal["auto", "lower", "higher"] = setting(
        "auto", "Which way is better; auto: a loss lower, a score higher.", label="Better is"
    )
    result: Literal["last", "best"] = setting(
        "last", "The state that becomes the result: the last one, or the best checkpoint by what is measured.",
        label="Result",
    )  # fmt: skip

    @property
    def higher(self) -> bool:
        """A larger value is a better one."""
        return self.better == "higher" or (self.better == "auto" and self.metric == SCORE)


def improves(value: float, best: float | None, min_delta: float, higher: bool) -> bool:
    """Whether a measurement is better than the best so far, by more than `min_delta`; NaN never is."""
    if value != value:
        return False
    if best is None:
        return True
    return (value - best if higher else best - value) > min_delta


def stops_at(values: Sequence[float], patience: int, min_delta: float = 0.0, higher: bool = False) -> int | None:
    """Number of the measurement after which training ends; None: it goes on. A pure function of all of them."""
    best: float | None = None
    without = 0
    for number, value in enumerate(values):
        if improves(value, best, min_delta, higher):
            best, without = value, 0
        else:
            without += 1
        if without >= patience:
            return number
    return None


def contradictions(document: dict[str, Any]) -> list[Problem]:
    """What early stop and the best result need and do not have."""
    asked = document.get("stopping")
    if not isinstance(asked, dict):
        return []
    wanted = asked.get("patience")
    patience = type(wanted) is int and wanted > 0  # one that is none asks for nothing: that it is wrong is said already
    if not patience and asked.get("result") != "best":
        return []
    field = "stopping.patience" if patience else "stopping.result"
    data, checkpoints, evaluation, training = (
        found if isinstance(found := document.get(name), dict) else {}
        for name in ("data", "checkpoints", "evaluation", "training")
    )
    problems = []
    if not data.get("validation") and not data.get("validation_share"):
        problems.append(Problem(code="stopping.nothing_measured", field=field))
    elif patience and not training.get("validate_every"):
        problems.append(Problem(code="stopping.measured_once", field="training.validate_every"))
    if asked.get("metric") == SCORE and not evaluation.get("data"):
        problems.append(Problem(code="stopping.no_score", field="stopping.metric"))
    if asked.get("result") == "best" and checkpoints.get("keep_best", 1) == 0:
        problems.append(Problem(code="stopping.best_not_kept", field="checkpoints.keep_best"))
    return problems
