"""Step 1: the base model. What is known of it is shown with the reason, and can be changed."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.recents import Recents
from forge_desktop.theme.controls import Card, column
from forge_desktop.theme.language import tr
from forge_desktop.wizard.facts_card import FactsCard
from forge_desktop.wizard.fields import Form
from forge_desktop.wizard.model_source import ModelSource


class ModelStep(QWidget):
    """Choose a model; see what it is."""

    navigate = Signal(str)

    def __init__(self, draft: DraftModel, session: Session, recents: Recents) -> None:
        super().__init__()
        self.source = ModelSource(draft, session, recents)
        facts = FactsCard(draft)
        options = Card(tr("How it is used"))
        options.body.addWidget(Form(draft, ["model.template", "model.thinking", "model.system"]))
        self.setLayout(column(self.source, facts, options, None, spacing=14))
        for part in (self.source, facts):
            part.navigate.connect(self.navigate)

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self.source.focus_first()
