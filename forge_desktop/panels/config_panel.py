"""The config a run was started with, as YAML, and the environment it ran in."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from engine.contract.config_file import to_yaml
from engine.contract.run_spec import RunConfig
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme.controls import Card, button, column, label
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import mono_font


class ConfigPanel(QWidget):
    """Read only: what was asked for never changes afterwards."""

    def __init__(self, model: RunModel, save: Callable[[], object]) -> None:
        super().__init__()
        self._model = model
        card = Card(tr("Config as started"))
        card.head.addStretch(1)
        card.head.addWidget(button(tr("Copy all"), "link", on_click=self._copy))
        card.head.addWidget(button(tr("Save config"), "link", "download", save, name="run.config.save"))
        self.text = QPlainTextEdit()
        self.text.setProperty("role", "log")
        self.text.setFont(mono_font())
        self.text.setReadOnly(True)
        self.text.setAccessibleName(tr("Config as started"))
        self._environment = label("", "hint", wrap=True, select=True)
        card.body.addWidget(self.text, 1)
        card.body.addWidget(self._environment)
        self.setLayout(column(card))
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        if not self.text.toPlainText() and detail.spec.kind == "train":
            self.text.setPlainText(to_yaml(RunConfig.from_spec(detail.spec)))
        if detail.attempts:
            facts = detail.attempts[-1].environment
            self._environment.setText(" · ".join(f"{key} {value}" for key, value in facts.items() if value))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
