"""What scores on held-out rows mean in words, with the figures beside them."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QWidget

from engine.contract.api import RunDetail, ScoreInfo
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of
from forge_desktop.theme.controls import Elided, label
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.measures import figure, percent

MOST_CLASSES = 12
ERRORS = ("mse", "pearson")
"""Figures that are no shares."""


def score_text(score: ScoreInfo) -> str:
    """What the score counts."""
    rows, correct = score.rows, score.correct or 0
    match score.metric:
        case "pair_accuracy":
            return tr("{correct} of {rows} pairs of answers are in the right order.", correct=correct, rows=rows)
        case "accuracy":
            return tr("Accuracy: {correct} of {rows} texts are put into their class.", correct=correct, rows=rows)
        case "micro_f1":
            return tr("Micro F1 over all classes of {rows} texts.", rows=rows)
        case "pearson":
            return tr("Correlation with the right numbers of {rows} rows.", rows=rows)
        case "recall_at_1":
            return tr("{correct} of {rows} texts find the one that belongs to them first.", correct=correct, rows=rows)
        case "mrr":
            return tr("Mean reciprocal rank of the right document, over {rows} queries.", rows=rows)
        case _:
            return tr("Exact match: {correct} of {rows} answers are right to the letter.", correct=correct, rows=rows)


def writes_text(detail: RunDetail | None) -> bool:
    """The model of a run answers in words."""
    job = detail.spec.job if detail else None
    return not (isinstance(job, TrainJob) and stage_of(job.stage).scores)


class MoreFigures(QWidget):
    """Figures beside the score, before and after, and how well each class is told; nothing where there are none."""

    def __init__(self, scores: dict[str, ScoreInfo]) -> None:
        super().__init__()
        self.setObjectName("run.scores.more")
        before, after = scores.get("before"), scores.get("after")
        newest = after or before
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 1)
        if newest is None:
            return
        if newest.more:
            self._line(("", tr("Before"), tr("After")), "hint")
        for name in newest.more:
            self._line((word("figure", name), _figure(name, before), _figure(name, after)))
        if newest.classes:
            self._line((tr("Class"), tr("Right"), "F1"), "hint")
        for one in newest.classes[:MOST_CLASSES]:
            right = tr("{right} of {rows}", right=one.right, rows=one.rows)
            self._line((one.label, right, percent(one.f1, 1)))
        left = len(newest.classes) - MOST_CLASSES
        if left > 0:
            self._line((count(left, "1 more class", "{n} more classes"), "", ""), "hint")

    def _line(self, texts: tuple[str, str, str], role: str = "body") -> None:
        row = self._grid.rowCount()
        for place, text in enumerate(texts):
            self._grid.addWidget(Elided(text, role) if place == 0 else label(text, role), row, place)


def _figure(name: str, score: ScoreInfo | None) -> str:
    value = score.more.get(name) if score is not None else None
    if value is None:
        return "—"
    return figure(value) if name in ERRORS else percent(value, 1)
