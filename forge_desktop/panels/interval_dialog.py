"""Asks how many steps lie between two points of the curve from now on."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from engine.contract.api import RunSummary
from engine.contract.run_spec import TrainJob
from forge_desktop.bridge.session import Session
from forge_desktop.theme.controls import Number, button, column, label, row
from forge_desktop.theme.language import tr

MOST = 1_000_000


class IntervalDialog(QDialog):
    """One number. Training goes on meanwhile."""

    def __init__(self, session: Session, run: RunSummary, choose: Callable[[int], object], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("interval")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Change the logging interval of '{name}'", name=run.name))
        self._choose = choose
        self.steps = Number(1, MOST, 1, "interval.steps")
        self.steps.setAccessibleName(tr("Steps between two points of the curve"))
        self.steps.returnPressed.connect(self._take)
        self._ok = button(tr("Change"), "primary", "check", self._take, name="interval.ok")
        title = label(self.windowTitle(), "card-title", wrap=True)
        text = tr("It counts from the next step to the end of this attempt; the config stays as it is.")
        layout = column(
            title, label(text, "hint", wrap=True), label(tr("Steps between two points of the curve"), "label"),
            self.steps, spacing=10, margins=(20, 18, 20, 18),
        )  # fmt: skip
        layout.addLayout(row(None, button(tr("Cancel"), on_click=self.reject, name="interval.cancel"), self._ok))
        self.setLayout(layout)
        self.setMinimumWidth(380)
        session.ask(lambda backend: backend.run(run.uid), lambda detail: self._begin_with(detail.spec.job),
                    lambda _error: None, owner=self)  # fmt: skip

    def _begin_with(self, job: object) -> None:
        """What the config says, unless somebody typed already."""
        if isinstance(job, TrainJob) and not self.steps.isModified():
            self.steps.set_value(job.training.log_every)
            self.steps.setText(f"{self.steps.value():,}")
            self.steps.selectAll()

    def _take(self) -> None:
        self.steps.editingFinished.emit()  # what was typed counts now
        self._choose(self.steps.value())
        self.accept()
