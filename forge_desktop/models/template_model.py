"""A chat template that is being written: its text, and what it makes of a row of the dataset."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.dataset_queries import Rendered, RenderTemplate
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig
from engine.contract.templates import template_text
from forge_desktop.bridge.session import Session
from forge_desktop.models.xray_model import XrayModel

OWN, TRIED = "", "tried"
"""Beginnings that are no name of the catalogue: the model's own, and the text that is tried already."""
WAIT_MS = 400


class TemplateModel(QObject):
    """Asks a helper a moment after the last change; answers to what has changed meanwhile are dropped."""

    changed = Signal()
    """What is known of the rendering."""
    replaced = Signal()
    """The text is another, and not because somebody typed it."""

    def __init__(self, session: Session, xray: XrayModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._xray = session, xray
        self.row, self.rows = xray.row, xray.rows
        self.begun_from = OWN if xray.template is None else TRIED
        self.text = xray.template or ""
        self.own: str | None = None
        """The model's own text, once it came."""
        self.rendered: Rendered | None = None
        self.error: ErrorBody | None = None
        self.looking = False
        self._asked = 0
        self._soon = QTimer(self, singleShot=True, interval=WAIT_MS)
        self._soon.timeout.connect(self.ask)
        self._soon.start(0)

    def begin_with(self, name: str) -> None:
        """Start anew from the model's own, from one of the catalogue, or from what is tried."""
        self.begun_from = name
        self._asked += 1
        if name not in (OWN, TRIED):
            number = self._asked
            self._session.ask(
                lambda _backend: template_text(name), lambda text: self._began(number, text), self._failed, owner=self
            )
            return
        self._began(self._asked, (self._xray.template if name == TRIED else self.own) or "")

    def _began(self, number: int, text: str) -> None:
        if number == self._asked:
            self.text = text
            self.replaced.emit()
            self._forget(at_once=True)

    def write(self, text: str) -> None:
        """Somebody typed."""
        if text != self.text:
            self.text = text
            self._forget()

    def go(self, row: int) -> None:
        """Another row."""
        row = max(0, min(row, self.rows - 1))
        if row != self.row:
            self.row = row
            self._forget(at_once=True)

    def why_not(self) -> str:
        """Why it cannot be used now, as a name: empty, wrong, waiting; nothing where it can."""
        if self.error is not None:
            return "wrong"
        if not self.text.strip():
            return "waiting" if self.own is None else "empty"
        return "" if self.rendered is not None else "waiting"

    def result(self) -> str | None:
        """What the X-ray is to look through: None for the model's own."""
        return None if self.text == self.own else self.text

    @property
    def line(self) -> int:
        """The line of the text that is wrong; 0: none, or not known."""
        found = self.error.params.get("line") if self.error else None
        return found if isinstance(found, int) else 0

    def _forget(self, at_once: bool = False) -> None:
        self._asked += 1
        self.rendered, self.error, self.looking = None, None, True
        self.changed.emit()
        self._soon.start(0 if at_once else WAIT_MS)

    @Slot()
    def ask(self) -> None:
        """Have the row rendered."""
        source = self._xray.source
        if source is None or (not self.text.strip() and self.own is not None):
            self.looking = False
            self.changed.emit()
            return
        path, hub = self._xray.model
        model = ModelConfig.model_validate({"path": path, "hub": hub})
        asked = RenderTemplate(template=self.text, model=model, source=source, row=self.row)
        params = asked.model_dump(mode="json")
        self._asked += 1
        number, own, self.looking = self._asked, not self.text.strip(), True
        self._session.ask(
            lambda backend: backend.query("render_template", params),
            lambda found: self._got(number, own, found),
            lambda error: self._failed_at(number, error),
            owner=self,
        )

    def _got(self, number: int, own: bool, found: dict[str, Any]) -> None:
        if number != self._asked:
            return
        self.looking, self.error = False, None
        self.rendered = Rendered.model_validate(found)
        if own:
            self.own = self.text = self.rendered.template
            self.replaced.emit()
        self.changed.emit()

    def _failed_at(self, number: int, error: ErrorBody) -> None:
        if number == self._asked:
            self._failed(error)

    def _failed(self, error: ErrorBody) -> None:
        self.looking, self.error, self.rendered = False, error, None
        self.changed.emit()
