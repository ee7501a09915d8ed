"""The starts of a run: why each began and where it went on from, when it ended and why."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from engine.contract.api import AttemptInfo, RunDetail
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.run_card import RunCard
from forge_desktop.theme.controls import Chip, column, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, duration, moment


def attempt_title(attempt: AttemptInfo) -> str:
    """`Attempt 2 · retry`."""
    return f"{tr('Attempt {n}', n=attempt.n)} · {word('cause', attempt.cause)}"


class AttemptsCard(RunCard):
    """Every attempt of a run, newest first; hidden while there is only one."""

    def __init__(self, model: RunModel) -> None:
        super().__init__(model, tr("Attempts"), "run.attempts", spacing=10)

    def _key(self, detail: RunDetail | None) -> object:
        return (repr(detail.attempts), detail.run.state) if detail else ""

    def _fill(self, detail: RunDetail | None) -> None:
        attempts = detail.attempts if detail else []
        self.setVisible(len(attempts) > 1)
        for attempt in reversed(attempts):
            self._rows.addWidget(_row(attempt, attempt is attempts[-1]))


def _row(attempt: AttemptInfo, newest: bool) -> QWidget:
    made = QWidget()
    made.setObjectName(f"attempt.{attempt.n}")
    head = row(label(attempt_title(attempt), "strong"), spacing=8)
    if newest:
        head.addWidget(Chip(tr("Latest"), "info"))
    head.addStretch(1)
    layout = column(spacing=2)
    layout.addLayout(head)
    for text in (_where(attempt), _when(attempt)):
        layout.addWidget(label(text, "hint", wrap=True))
    made.setLayout(layout)
    made.setToolTip(f"{moment(attempt.started)} – {moment(attempt.ended)}")
    return made


def _where(attempt: AttemptInfo) -> str:
    if attempt.resumed_step is None:
        return tr("from the start")
    return tr(
        "from the checkpoint at step {step} of attempt {n}",
        step=f"{attempt.resumed_step:,}",
        n=attempt.resumed_attempt or 1,
    )


def _when(attempt: AttemptInfo) -> str:
    parts = [tr("began {ago}", ago=ago(attempt.started))] if attempt.started else []
    if attempt.ended is not None:
        if attempt.started is not None:
            parts.append(tr("took {time}", time=duration(attempt.ended - attempt.started)))
        parts.append(word("reason", attempt.reason) if attempt.reason else tr("ended"))
    return " · ".join(parts)
