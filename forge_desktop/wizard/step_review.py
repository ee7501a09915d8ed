"""Step 5: the name, the whole config as YAML, and everything that still stands in the way."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from engine.contract.config_file import to_yaml
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, column
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import mono_font
from forge_desktop.wizard.fields import Form


class ReviewStep(QWidget):
    """Look once more, then start."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        naming = Card(tr("Name"))
        naming.body.addWidget(Form(draft, ["name", "project"]))
        config = Card(tr("Config"))
        self._yaml = QPlainTextEdit()
        self._yaml.setProperty("role", "log")
        self._yaml.setFont(mono_font())
        self._yaml.setReadOnly(True)
        self._yaml.setAccessibleName(tr("Config"))
        self._yaml.setMinimumHeight(260)
        config.body.addWidget(self._yaml, 1)
        layout = column(naming, config, spacing=14)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        draft.checked.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        config = self._draft.config
        text = to_yaml(config) if config is not None else tr("The config appears here once nothing is missing.")
        if self._yaml.toPlainText() != text:
            self._yaml.setPlainText(text)
