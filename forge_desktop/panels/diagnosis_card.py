"""Why a run failed: the rule that fits, the lines of the log that matter, and what to do with one click."""

from __future__ import annotations

import re
from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from engine.contract.advice import UNKNOWN, told
from engine.contract.api import ConfigChange, Diagnosis, RunDetail
from engine.contract.data import DataSource
from engine.contract.states import RunState
from forge_desktop.models.draft_model import groups
from forge_desktop.models.report import report
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import button, label, row
from forge_desktop.theme.language import labelled, setting_label, tr, word
from forge_desktop.theme.look import mono_font

SOURCE = re.compile(r"data\.(train|validation)\.\d+")
MAX_LINES = 5
"""Lines of the log beside a cause that is known; of one that is not, all that matter are shown."""


class DiagnosisCard(ErrorCard):
    """A failed run's cause and remedy; the plain error and the end of the log where no rule fits."""

    def __init__(self, model: RunModel, change: Callable[[Diagnosis], object], told: Callable[[str], object]) -> None:
        super().__init__("run.error")
        self._model, self._told = model, told
        self.lines = label("", wrap=True, select=True)
        self.lines.setProperty("role", "excerpt")
        self.lines.setFont(mono_font())
        self.lines.setObjectName("run.error.lines")
        self._changes = label("", wrap=True, select=True)
        self._changes.setObjectName("run.error.changes")
        self._new = button(
            tr("New run with this change"), "primary", "plus", lambda: self._change(change), name="run.error.change"
        )  # fmt: skip
        self._copy = button(tr("Copy report"), "default", "copy", self._do_copy, name="run.error.report")
        self._buttons = QWidget()
        self._buttons.setLayout(row(self._new, self._copy, None, spacing=10))
        self.body.addWidget(self.lines)
        self.body.addWidget(self._changes)
        self.body.addWidget(self._buttons)
        model.changed.connect(self.refresh)
        model.tail_changed.connect(self.refresh)

    @Slot()
    def refresh(self) -> None:
        """Say why it failed, if it did."""
        detail = self._model.detail
        if detail is None:
            return
        run, found = detail.run, detail.diagnosis
        failed = run.state is RunState.FAILED
        body = told(found, run.error) if found is not None and failed else run.error
        self.show_error(body)
        lines = self._lines(found) if failed else []
        self.lines.setText("\n".join(lines))
        self.lines.setVisible(bool(lines) and body is not None)
        changes = found.changes if found is not None and failed else []
        self._changes.setText("\n".join(change_text(change) for change in changes))
        self._changes.setVisible(bool(changes))
        self._new.setVisible(bool(changes))
        self._buttons.setVisible(failed)

    def _lines(self, found: Diagnosis | None) -> list[str]:
        if found is None:
            return self._model.log_tail.splitlines()[-MAX_LINES:]
        return found.lines if found.rule == UNKNOWN else found.lines[-MAX_LINES:]

    def report(self) -> str:
        """What "Copy report" copies."""
        detail = self._model.detail
        return report(detail, self._model.log_tail) if detail is not None else ""

    def _change(self, change: Callable[[Diagnosis], object]) -> None:
        detail: RunDetail | None = self._model.detail
        if detail is not None and detail.diagnosis is not None:
            change(detail.diagnosis)

    def _do_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.report())
        self._told(tr("The report is copied: error, environment and the end of the log."))


def change_text(change: ConfigChange) -> str:
    """`Micro batch size: 8 → 4`."""
    group, _, name = change.field.rpartition(".")
    model = DataSource if SOURCE.fullmatch(group) else groups().get(group)
    title = setting_label(model, name) if model is not None and name in model.model_fields else change.field
    return labelled(title, f"{_value(change.was)} → {_value(change.value)}")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return tr("on") if value else tr("off")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str):
        return word("choice", value) if value.isidentifier() or value in ("8bit", "4bit") else value
    return tr("empty") if value is None else f"{value:g}" if isinstance(value, float) else str(value)
