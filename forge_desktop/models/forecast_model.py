"""What the draft's run will take and cost: asked of the controller a moment after something about it changed."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.forecast import Forecast
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel

SOON_MS = 400


class ForecastModel(QObject):
    """Follows a draft; an answer to what has changed meanwhile is dropped."""

    changed = Signal()

    def __init__(self, draft: DraftModel, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._draft, self._session = draft, session
        self.forecast: Forecast | None = None
        """None: the config is not complete, or nobody has answered yet."""
        self.error: ErrorBody | None = None
        self._asked, self._question = 0, ""
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self._ask)
        for news in (draft.checked, draft.previewed, draft.changed, draft.inspected):
            news.connect(self._later)
        for news in (session.settings_changed, session.online):
            news.connect(self._again)
        self._soon.start()

    @Slot()
    def _later(self, *_news: Any) -> None:
        self._soon.start()

    @Slot()
    def _again(self, *_news: Any) -> None:
        """A price or the budget may be another."""
        self._question = ""
        self._soon.start()

    @Slot()
    def _ask(self) -> None:
        config = self._draft.config
        if config is None or not self._session.is_online:
            self._asked += 1
            self._question = ""
            self._take(self._asked, None)
            return
        spec, steps = config.to_spec(), self._draft.steps() or None
        shape, teacher = self._draft.shape, self._draft.teacher_shape
        known = f"{shape is None} {teacher is None}"
        question = f"{spec.model_dump_json(exclude={'name', 'project', 'tags'})} {steps} {known}"
        if question == self._question:
            return
        self._asked += 1
        asked, self._question = self._asked, question
        self._session.ask(
            lambda backend: backend.forecast(spec, steps, shape, teacher),
            lambda found: self._take(asked, found),
            lambda error: self._take(asked, None, error),
            owner=self,
        )

    def _take(self, asked: int, found: Forecast | None, error: ErrorBody | None = None) -> None:
        if asked != self._asked:
            return
        if error is not None:
            self._question = ""  # the next change asks again
        if (found, error) != (self.forecast, self.error):
            self.forecast, self.error = found, error
            self.changed.emit()
