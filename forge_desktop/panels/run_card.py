"""A card whose lines are made from a run's detail, anew only when what they show has changed."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout

from engine.contract.api import RunDetail
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme.controls import Card, clear


class RunCard(Card):
    """What cards of a run share: follow its model, and leave the lines alone while nothing is new."""

    def __init__(self, model: RunModel, title: str, name: str, spacing: int) -> None:
        super().__init__(title)
        self.setObjectName(name)
        self._model = model
        self._rows = QVBoxLayout()
        self._rows.setSpacing(spacing)
        self.body.addLayout(self._rows)
        self._shown: object = None
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        detail = self._model.detail
        key = self._key(detail)
        if key != self._shown:
            self._shown = key
            clear(self._rows)
            self._fill(detail)

    def _key(self, detail: RunDetail | None) -> object:
        """What the lines depend on."""
        raise NotImplementedError

    def _fill(self, detail: RunDetail | None) -> None:
        """Make the lines."""
        raise NotImplementedError
