"""What one step learned from: its rows with their losses, and how curves and machine stood then."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.forensics_api import StepRows
from forge_desktop.models.row_lines import RowLine, RowLines, of_step, texts_of
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.device_panel import GPU, PROCESSOR, written
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.row_detail import RowDetail
from forge_desktop.panels.row_table import RowTable
from forge_desktop.theme.controls import Number, button, column, label, row
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.measures import figure, moment

VALUES = ("loss", "learning_rate", "grad_norm", "tokens_per_second")


class StepRowsDialog(QDialog):
    """Any step can be typed; the nearest one of which rows were kept is shown."""

    def __init__(self, model: RunModel, step: int | None, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("step_rows")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Rows of a step"))
        self.resize(860, 720)
        self._model, self._asked = model, 0
        last = model.detail.run.step if model.detail is not None else None
        self.step = Number(1, max(1, last or 1, step or 1), step or last or 1, "step_rows.step")
        self.step.setAccessibleName(tr("Step"))
        self.step.changed.connect(lambda _value: self.fetch())
        self.facts = label("", wrap=True, select=True)
        self._device = label("", "hint", wrap=True, select=True)
        self._error = ErrorCard("step_rows.error")
        self.lines = RowLines(False, self)
        self.table = RowTable(self.lines, "step_rows.table", tr("Rows of the step"))
        self.table.opened.connect(self._open)
        self.detail = RowDetail(model.session)
        if model.detail is not None:
            self.detail.show_run(model.detail)
        head = row(label(self.windowTitle(), "card-title"), None, label(tr("Step"), "label"), self.step, spacing=10)
        layout = column(spacing=10, margins=(20, 18, 20, 18))
        layout.addLayout(head)
        for part in (self.facts, self._device, self._error):
            layout.addWidget(part)
        layout.addWidget(self.table, 3)
        layout.addWidget(self.detail, 2)
        layout.addLayout(row(None, button(tr("Close"), on_click=self.accept, name="step_rows.close")))
        self.setLayout(layout)
        self.fetch()

    def fetch(self) -> None:
        """Ask for the step in the field."""
        self._asked += 1
        number, uid, step = self._asked, self._model.uid, self.step.value()
        self._error.show_error(None)
        self.facts.setText(tr("The losses of the rows are being read…"))
        self._device.setText("")
        self._model.session.ask(
            lambda backend: backend.step_rows(uid, step),
            lambda found: self._got(number, found),
            lambda error: self._failed(number, error),
            owner=self,
        )

    def _got(self, number: int, found: StepRows) -> None:
        if number != self._asked:
            return
        parts = [tr("Step {step}", step=f"{found.step:,}"), tr("attempt {n}", n=found.attempt)]
        if found.at is not None:
            parts.append(moment(found.at))
        parts += [labelled(word("metric", one), figure(found.values[one])) for one in VALUES if one in found.values]
        nearest = ""
        if found.step != self.step.value():
            nearest = tr("No rows were kept of step {step}; this is the nearest.", step=f"{self.step.value():,}") + "\n"
        self.facts.setText(nearest + " · ".join(parts))
        readings = readings_of(found.device)
        self._device.setText(" · ".join(readings))
        self._device.setVisible(bool(readings))
        lines = [of_step(one, found.datasets) for one in found.rows]
        self.lines.show_rows(lines)
        detail = self._model.detail
        if detail is None:
            return
        spec, keys = detail.spec, [line.key for line in lines]

        def got(texts: dict[tuple[int, int], str]) -> None:
            if number == self._asked:
                self.lines.add_texts(texts)

        self._model.session.ask(lambda backend: texts_of(backend, spec, keys), got, lambda _error: None, owner=self)

    def _failed(self, number: int, error: ErrorBody) -> None:
        if number == self._asked:
            self.facts.setText("")
            self.lines.show_rows([])
            self._error.show_error(error)

    def _open(self, line: RowLine) -> None:
        self.detail.open(line)


def readings_of(device: dict[str, float]) -> list[str]:
    """The machine as the page's tiles name it: each GPU, then the processor."""
    said = list[str]()
    for key in sorted({name.partition(".")[0] for name in device if name.startswith("gpu")}):
        for one in GPU:
            value = device.get(f"{key}.{one.metric}")
            if value is not None:
                said.append(labelled(f"{key.upper()} {tr(one.title)}", written(one.form, value)))
    for one in PROCESSOR:
        if one.metric in device:
            said.append(labelled(tr(one.title), written(one.form, device[one.metric])))
    return said
