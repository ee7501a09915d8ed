"""Choosing where a run goes on from, and how far."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QDialog, QWidget

from engine.contract.api import CheckpointInfo, ResumeRun, RunDetail
from engine.contract.errors import ErrorBody
from engine.contract.run_spec import TrainJob
from forge_desktop.bridge.session import Session
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Choice, Field, button, column, label, restyle, row, set_enabled
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.measures import ago, figure

NEWEST, START = "newest", "start"


class ResumeDialog(QDialog):
    """Asks for a checkpoint, or for more epochs or steps; nothing happens before it is confirmed."""

    def __init__(
        self, session: Session, uid: str, extend: bool, wish: Callable[[ResumeRun], object], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("resume")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(520)
        self._wish, self._extend = wish, extend
        self.setWindowTitle(tr("Extend the run") if extend else tr("Resume from checkpoint"))
        self.choice = Choice()
        self.choice.setAccessibleName(tr("Go on from"))
        self.choice.currentIndexChanged.connect(lambda _place: self._refresh())
        self.epochs, self.steps = Field(name="resume.epochs"), Field(name="resume.steps")
        for made, name in ((self.epochs, tr("Epochs in all")), (self.steps, tr("Steps in all"))):
            made.setAccessibleName(name)
            made.textChanged.connect(lambda _text: self._refresh())
        self._said = label("", "hint", wrap=True)
        self._error = ErrorCard("resume.error")
        text = tr("Extend") if extend else tr("Resume")
        self._go = button(text, "primary", "play", self._confirm, name="resume.go")
        self._build()
        session.ask(lambda backend: backend.run(uid), self._got, self._error_came, owner=self)
        self._refresh()

    def _build(self) -> None:
        layout = column(label(self.windowTitle(), "card-title"), spacing=12, margins=(20, 18, 20, 18))
        layout.addWidget(label(tr("Go on from"), "label"))
        layout.addWidget(self.choice)
        more = row(spacing=16)
        for made in (self.epochs, self.steps):
            more.addLayout(column(label(made.accessibleName(), "label"), made, spacing=4))
        layout.addLayout(more)
        layout.addWidget(self._said)
        layout.addWidget(self._error)
        cancel = button(tr("Cancel"), on_click=self.reject, name="resume.cancel")
        layout.addLayout(row(None, cancel, self._go, spacing=10))
        self.setLayout(layout)

    def _got(self, detail: RunDetail) -> None:
        for checkpoint in reversed(detail.checkpoints):
            self.choice.addItem(_line(checkpoint, checkpoint is detail.checkpoints[-1]), str(checkpoint.id))
        if not self._extend or not detail.checkpoints:
            self.choice.addItem(tr("The start: train from step 0 again"), START)
        job = detail.spec.job
        if isinstance(job, TrainJob):
            epochs, steps = job.training.epochs, job.training.max_steps
            self.epochs.setPlaceholderText(f"{epochs:g}")
            self.steps.setPlaceholderText(f"{steps:,}" if steps else tr("empty"))
            if self._extend:
                (self.steps if steps else self.epochs).setText(str(2 * steps) if steps else f"{2 * epochs:g}")
        self._refresh()

    def _error_came(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot()
    def _refresh(self) -> None:
        wish = self._read()
        changed = wish is not None and (wish.epochs is not None or wish.max_steps is not None)
        why = tr("Write how many epochs or steps there are to be in all.")
        set_enabled(self._go, wish is not None and (changed or not self._extend) and self.choice.count() > 0, why)
        for made, kind in ((self.epochs, float), (self.steps, int)):
            restyle(made, tone="bad" if made.text().strip() and _number(made.text(), kind) is None else "")
        if self.choice.value() == START:
            text = tr("Nothing learned so far is used. Earlier points stay on the curve, faint.")
        else:
            text = tr("Points after that step stay on the curve, faint. Empty fields: as before.")
        self._said.setText(text)

    def _read(self) -> ResumeRun | None:
        """What is wanted; None while something is no number."""
        given = (self.epochs.text().strip(), self.steps.text().strip())
        epochs, steps = _number(given[0], float), _number(given[1], int)
        if (given[0] and epochs is None) or (given[1] and steps is None):
            return None
        chosen = self.choice.value()
        return ResumeRun(
            checkpoint=int(chosen) if chosen not in ("", START) else None,
            from_start=chosen == START,
            epochs=epochs,
            max_steps=None if steps is None else int(steps),
        )

    def _confirm(self) -> None:
        wish = self._read()
        if wish is not None:
            self.accept()
            self._wish(wish)


def _line(checkpoint: CheckpointInfo, newest: bool) -> str:
    parts = [tr("Step {step}", step=f"{checkpoint.step:,}")]
    if checkpoint.validation_loss is not None:
        parts.append(labelled(tr("validation loss"), figure(checkpoint.validation_loss)))
    parts.append(ago(checkpoint.created))
    if newest:
        parts.append(tr("newest"))
    if checkpoint.best:
        parts.append(tr("best"))
    return " · ".join(parts)


def _number(text: str, kind: type) -> float | None:
    try:
        value = float(kind(text.strip().replace(",", "")))
    except ValueError:
        return None
    return value if 0 < value < 1e9 else None
