"""Step 5: what will happen in sentences, the name, and the whole config as YAML."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import QWidget

from engine.contract.config_file import to_yaml
from engine.contract.stream import Resources
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.forecast_model import ForecastModel
from forge_desktop.models.plan import plan_of
from forge_desktop.theme.controls import Card, button, column, label
from forge_desktop.theme.language import tr
from forge_desktop.wizard.fields import Form, SettingField
from forge_desktop.wizard.forecast_card import ForecastCard
from forge_desktop.wizard.story import story
from forge_desktop.wizard.yaml_view import YamlView


class ReviewStep(QWidget):
    """Look once more, then start."""

    told = Signal(str)

    def __init__(self, draft: DraftModel, session: Session, forecast: ForecastModel) -> None:
        super().__init__()
        self._draft = draft
        self._now: Resources | None = None
        naming = Card(tr("Name"))
        self._form = Form(draft, ["name", "project", "tags"], special={"tags": self._tags})
        naming.body.addWidget(self._form)
        happens = Card(tr("What will happen"))
        self._story = label("", wrap=True, select=True)
        self._story.setObjectName("wizard.story")
        happens.body.addWidget(self._story)
        config = Card(tr("Config"))
        config.setMinimumHeight(390)  # the text scrolls in itself; in a short window the page scrolls as well
        config.head.addStretch(1)
        self._copy = button(tr("Copy all"), "default", "copy", self._do_copy, name="wizard.yaml.copy")
        config.head.addWidget(self._copy)
        self._yaml = YamlView()
        config.body.addWidget(self._yaml, 1)
        layout = column(happens, ForecastCard(forecast), naming, config, spacing=14)
        layout.setStretch(3, 1)
        self.setLayout(layout)
        for news in (draft.checked, draft.inspected, draft.seen):
            news.connect(self._refresh)
        session.resources.connect(self._machine)
        session.ask(lambda backend: backend.resources(), self._first_machine, lambda _error: None, owner=self)
        self._write()

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self._form.fields["name"].focus()

    def _tags(self, draft: DraftModel, path: str) -> SettingField:
        return SettingField(draft, path, lambda: tr("Words to find the run by, with commas between."))

    @Slot(object)
    def _machine(self, now: Resources) -> None:
        self._now = now

    def _first_machine(self, now: Resources) -> None:
        self._machine(now)
        self._refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook: what was not looked at was not written either."""
        super().showEvent(event)
        self._write()

    @Slot()
    def _refresh(self) -> None:
        if self.isVisible():
            self._write()

    def _write(self) -> None:
        config = self._draft.config
        self._copy.setEnabled(config is not None)
        if config is None:
            self._story.setText(tr("This is told once nothing is missing; see 'Before you start'."))
            self._yaml.show_text(tr("The config appears here once nothing is missing."))
            return
        told = story(config, plan_of(self._draft, self._now))
        self._story.setText("\n".join(f"•  {text}" for text in told))
        self._yaml.show_text(to_yaml(config))

    def _do_copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._yaml.toPlainText())
        self.told.emit(tr("The config is copied."))
