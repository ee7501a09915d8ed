"""Says in the wizard what a diagnosis changed where no field of its own can say so."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel

from engine.contract.api import ConfigChange
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.panels.diagnosis_card import change_text
from forge_desktop.theme.controls import restyle
from forge_desktop.theme.language import labelled, tr
from forge_desktop.wizard.fields import sign_of

WITHOUT_FIELD = ("data.train.", "tuner.targets", "compute.network")
"""Settings that are shown by cards of their own, or not yet."""


class MarksNote(QLabel):
    """One line above the step; hidden where every change is marked beside its field."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        self.setWordWrap(True)
        self.setObjectName("wizard.marks")
        restyle(self, role="hint", tone="accent")
        draft.changed.connect(self.refresh)
        draft.checked.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self, *_news: object) -> None:
        """Name what was changed and is still as it was changed."""
        told = []
        for path, was in self._draft.marks.items():
            if path.startswith(WITHOUT_FIELD):
                value = self._draft.get(path)
                if value != was:
                    told.append(change_text(ConfigChange(field=path, value=value, was=was)))
        text = sign_of("accent") + labelled(tr("Changed by the diagnosis"), " · ".join(told)) if told else ""
        self.setText(text)
        self.setAccessibleName(text)
        self.setVisible(bool(told))
