"""How far a run is: step, epoch, phase, time left, throughput, time passed."""

from __future__ import annotations

import time

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout

from engine.contract.api import RunSummary
from engine.contract.states import LIVE, Phase, RunState
from forge_desktop.models.run_model import RunModel
from forge_desktop.models.runs_model import progress
from forge_desktop.panels.status import fill
from forge_desktop.theme.controls import Bar, Card, Elided, column, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, duration, figure


class ProgressCard(Card):
    """The strip at the top of a run's page."""

    def __init__(self, model: RunModel) -> None:
        super().__init__(margins=(16, 12, 16, 12))
        self.setObjectName("run.progress")
        self._model = model
        self._step = label("", "strong")
        self._of = Elided("", "hint")
        self._percent = label("", "strong")
        self._bar = Bar(8)
        layout = row(spacing=28)
        left = QVBoxLayout()
        left.setSpacing(8)
        head = row(spacing=8)
        head.addWidget(self._step)
        head.addWidget(self._of, 1)
        head.addWidget(self._percent)
        left.addLayout(head)
        left.addWidget(self._bar)
        layout.addLayout(left, 1)
        self._facts: dict[str, QLabel] = {}
        for key, title in (
            ("left", tr("Time left")),
            ("rate", tr("Throughput")),
            ("passed", tr("Elapsed")),
            ("node", tr("Node")),
        ):
            self._facts[key] = label("—", "strong")
            self._facts[key].setObjectName(f"run.fact.{key}")
            layout.addLayout(column(label(title, "hint"), self._facts[key], spacing=2))
        self.body.addLayout(layout)
        model.changed.connect(self.refresh)
        model.points_changed.connect(self._points_changed)

    @Slot(object)
    def _points_changed(self, metrics: set[str]) -> None:
        if "tokens_per_second" in metrics:
            self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show where the run stands now."""
        detail = self._model.detail
        if detail is None:
            return
        run = detail.run
        self._step.setText(_headline(run))
        self._of.set_text(self._under(run))
        share = progress(run)
        self._percent.setText("" if share is None else f"{100 * share:.0f}%")
        self._bar.set(share or 0.0, fill(run.state))
        self._facts["left"].setText(duration(run.eta_seconds) if run.state in LIVE else "—")
        rate = self._model.curve("tokens_per_second").last()
        self._facts["rate"].setText(tr("{rate} tok/s", rate=figure(rate)) if rate is not None else "—")
        self._facts["passed"].setText(duration(_passed(run)))
        self._facts["node"].setText(tr("This computer") if run.node in ("", "local") else run.node)

    def _under(self, run: RunSummary) -> str:
        if run.retry_at is not None and run.state is RunState.QUEUED:
            return tr("waits for its next try")
        if run.state is RunState.QUEUED:
            return tr("waits for a slot · queued {ago}", ago=ago(run.created))
        if run.state in LIVE and run.phase is not None and run.phase is not Phase.TRAINING:
            return word("phase", run.phase)
        parts = []
        if run.total_steps:
            parts.append(tr("of {total} steps", total=f"{run.total_steps:,}"))
        if run.state.ended and run.reason is not None and run.state is not RunState.COMPLETED:
            parts.append(word("reason", run.reason))
        return " · ".join(parts)


def _headline(run: RunSummary) -> str:
    if run.step is None:
        return word("state", run.state)
    return tr("Step {step}", step=f"{run.step:,}")


def _passed(run: RunSummary) -> float | None:
    if run.started is None:
        return None
    return max(0.0, (run.finished or time.time()) - run.started)  # a clock may have been set back
