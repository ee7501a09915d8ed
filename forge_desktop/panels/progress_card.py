"""How far a run is: step, epoch, phase, when it will be ready, throughput, time passed, cost, and where it runs."""

from __future__ import annotations

import time

from PySide6.QtCore import QSize, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.contract.api import RunDetail, RunSummary
from engine.contract.run_spec import TrainJob
from engine.contract.states import LIVE, Phase, RunState
from forge_desktop.models.run_model import RunModel
from forge_desktop.models.runs_model import progress
from forge_desktop.panels.status import fill
from forge_desktop.theme.controls import Bar, Card, Elided, column, label, row
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.measures import ago, duration, figure, moment, money, size

GAP, MARGINS, LEAST_WIDTH, LEAST_NODE = 24, 34, 420, 140
BAR_WIDTH = 360
"""Pixels of the bar below which the facts move under it."""


class ProgressCard(Card):
    """The strip at the top of a run's page."""

    def __init__(self, model: RunModel) -> None:
        super().__init__(margins=(16, 12, 16, 12))
        self.setObjectName("run.progress")
        self._model = model
        self._step = label("", "strong")
        self._of = Elided("", "hint")
        self._of.setObjectName("run.progress.of")
        self._percent = label("", "strong")
        self._bar = Bar(8)
        self._layout = row(spacing=24)
        left = QVBoxLayout()
        left.setSpacing(8)
        head = row(spacing=8)
        head.addWidget(self._step)
        head.addWidget(self._of, 1)
        head.addWidget(self._percent)
        left.addLayout(head)
        left.addWidget(self._bar)
        self._layout.addLayout(left, 1)
        self._under_bar = QWidget()
        self._grid = QGridLayout(self._under_bar)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(GAP)
        self._grid.setVerticalSpacing(8)
        self._has_cost = False
        self._placed: list[tuple[QWidget, int, int]] = []
        self._facts: dict[str, QLabel] = {}
        self._boxes: dict[str, QWidget] = {}
        for key, title in (
            ("left", tr("Time left")),
            ("rate", tr("Throughput")),
            ("passed", tr("Elapsed")),
            ("cost", tr("Cost")),
            ("node", tr("Node")),
        ):
            self._facts[key] = Elided("—", "strong") if key == "node" else label("—", "strong")
            self._facts[key].setObjectName(f"run.fact.{key}")
            self._boxes[key] = QWidget()
            self._boxes[key].setLayout(column(label(title, "hint"), self._facts[key], spacing=2))
        self._facts["node"].setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        for box in self._boxes.values():
            box.setParent(self._under_bar)
        self._boxes["cost"].hide()
        self._place(len(self._boxes) - 1)
        self._layout.addWidget(self._under_bar)
        self.body.addLayout(self._layout)
        model.changed.connect(self.refresh)
        model.points_changed.connect(self._points_changed)
        model.phase_moved.connect(self.refresh)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook: the facts move under the bar where there is no room beside it."""
        return QSize(LEAST_WIDTH, super().minimumSizeHint().height())

    def _shown(self) -> list[QWidget]:
        return [box for key, box in self._boxes.items() if key != "cost" or self._has_cost]

    def _place(self, beside: int) -> None:
        """So many facts beside each other, the others below."""
        placed = [(box, n // beside, n % beside) for n, box in enumerate(self._shown())]
        if placed == self._placed:
            return
        self._placed = placed
        for box in self._boxes.values():
            self._grid.removeWidget(box)
        for box, line, place in placed:
            self._grid.addWidget(box, line, place)

    def _arrange(self) -> None:
        hints = [box.sizeHint().width() for box in self._shown()]
        narrow = sum(hints) + GAP * (len(hints) - 1) + BAR_WIDTH > self.width()
        room, beside = self.width() - MARGINS, len(hints)
        while narrow and beside > 1 and _width_of(hints, beside) > room:
            beside -= 1
        self._place(beside)
        way = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._layout.direction() != way:
            self._layout.setDirection(way)
            self._layout.setSpacing(10 if narrow else GAP)

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
        self._of.set_text(self._under(run, detail))
        share = self._share(run)
        self._percent.setText("" if share is None else f"{100 * share:.0f}%")
        self._bar.set(share or 0.0, fill(run.state))
        self._fact("left", _left(run), moment(time.time() + (run.eta_seconds or 0)) if _has_eta(run) else "")
        rate = self._model.curve("tokens_per_second").last()
        self._fact("rate", tr("{rate} tok/s", rate=figure(rate)) if rate is not None else "—")
        self._fact("passed", duration(_passed(run)), _when(run))
        self._has_cost = run.cost is not None
        self._boxes["cost"].setVisible(self._has_cost)
        self._fact("cost", _cost(run, self._model.currency))
        where, device = _where(detail)
        self._fact("node", f"{where} · {device}" if device and len(device) < 16 else where)
        self._boxes["node"].setToolTip(" · ".join(part for part in (where, device) if part))

    def _phase_text(self, phase: Phase) -> str:
        """What it does before and after training; of a download, how far it is and how fast."""
        text, told = word("phase", phase), self._model.download
        if phase is not Phase.DOWNLOADING or told is None:
            return text
        done, total, pace = told
        parts = [text, tr("{done} of {total}", done=size(done), total=size(total))]
        return " · ".join([*parts, tr("{rate}/s", rate=size(pace))] if pace else parts)

    def _share(self, run: RunSummary) -> float | None:
        told = self._model.download
        if run.state in LIVE and run.phase is Phase.DOWNLOADING and told is not None:
            return told[0] / told[1]
        return progress(run)

    def _fact(self, key: str, text: str, tip: str = "") -> None:
        fact = self._facts[key]
        if isinstance(fact, Elided):
            fact.set_text(text)
        else:
            if fact.text() != text:
                fact.setText(text)
            fact.setToolTip(tip)
        self._arrange()

    def _under(self, run: RunSummary, detail: RunDetail) -> str:
        if run.retry_at is not None and run.state is RunState.QUEUED:
            return tr("waits for its next try")
        if run.state is RunState.QUEUED:
            return tr("waits for a slot · queued {ago}", ago=ago(run.created))
        if run.state in LIVE and run.phase is not None and run.phase is not Phase.TRAINING:
            return self._phase_text(run.phase)
        parts = []
        if run.total_steps:
            parts.append(tr("of {total} steps", total=f"{run.total_steps:,}"))
            epochs = epochs_of(detail)
            if run.step is not None and epochs:
                parts.append(tr("epoch {at} / {all}", at=f"{run.step / run.total_steps * epochs:.2f}",
                                all=f"{epochs:g}"))  # fmt: skip
        if run.state.ended and run.reason is not None and run.state is not RunState.COMPLETED:
            parts.append(word("reason", run.reason))
        return " · ".join(parts)


def _width_of(hints: list[int], beside: int) -> int:
    """Of a grid with so many columns; the node, the last, may be cut."""
    kept = [*hints[:-1], min(hints[-1], LEAST_NODE)]
    columns = [max(kept[place::beside]) for place in range(beside)]
    return sum(columns) + GAP * (beside - 1)


def epochs_of(detail: RunDetail) -> float | None:
    """How many epochs there are in all."""
    planned = detail.attempts[-1].plan.get("epochs") if detail.attempts else None
    if isinstance(planned, int | float) and planned > 0:
        return float(planned)
    job = detail.spec.job
    return float(job.training.epochs) if isinstance(job, TrainJob) and job.training.epochs else None


def _headline(run: RunSummary) -> str:
    if run.step is None:
        return word("state", run.state)
    return tr("Step {step}", step=f"{run.step:,}")


def _has_eta(run: RunSummary) -> bool:
    return run.state in LIVE and run.eta_seconds is not None


def _left(run: RunSummary) -> str:
    """`1 h 48 min · 23:14`: how long it still takes, and when that is by the clock."""
    if not _has_eta(run) or run.eta_seconds is None:
        return "—"
    due = time.localtime(time.time() + run.eta_seconds)
    clock = time.strftime("%H:%M", due)
    if run.eta_seconds > 20 * 3600:
        clock = time.strftime("%m-%d %H:%M", due)
    return f"{duration(run.eta_seconds)} · {clock}"


def _passed(run: RunSummary) -> float | None:
    if run.started is None:
        return None
    return max(0.0, (run.finished or time.time()) - run.started)  # a clock may have been set back


def _when(run: RunSummary) -> str:
    if run.started is None:
        return ""
    text = labelled(tr("Started"), moment(run.started))
    return f"{text}\n{labelled(tr('Ended'), moment(run.finished))}" if run.finished else text


def _cost(run: RunSummary, currency: str) -> str:
    """`$9.42 of ≈ $15.40`: what it cost so far, and what it will have cost at this pace."""
    if run.cost is None:
        return "—"
    if _has_eta(run) and run.eta_seconds and run.seconds > 0 and run.cost > 0:
        whole = run.cost * (1 + run.eta_seconds / run.seconds)
        return tr("{spent} of ≈ {all}", spent=money(run.cost, currency), all=money(whole, currency))
    return money(run.cost, currency)


def _where(detail: RunDetail) -> tuple[str, str]:
    """The node, and the device on it."""
    node = tr("This computer") if detail.run.node in ("", "local") else detail.run.node
    for key, name in detail.device_names.items():
        if key.startswith("gpu"):
            return node, f"GPU {key.removeprefix('gpu')}" if name else ""
    return node, detail.device_names.get("cpu", "")
