"""The measures of the model that a draft learns from: a helper looks at it, whenever another one is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.contract.model_shape import ModelShape
from forge_desktop.bridge.session import Session

HERE = ("local", "bundled")
ASKED = (*HERE, "huggingface", "modelscope", "url")
"""Where a helper can look into a model: of a hub's it fetches the small files only."""


class SeenTeacher(QObject):
    """An answer about a teacher that is no longer named is dropped; one nobody could look at has no shape."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._asked: dict[str, Any] = {}
        self.shape: ModelShape | None = None

    def want(self, teacher: Mapping[str, Any]) -> None:
        """The settings that name it; empty: none is needed."""
        path, hub = teacher.get("path"), teacher.get("hub")
        asked = {"path": path, "hub": hub} if path and hub in ASKED else {}
        if asked and hub not in HERE and teacher.get("revision"):
            asked["revision"] = teacher["revision"]
        if asked == self._asked and (self.shape is not None or not asked):
            return
        self._asked, self.shape = asked, None
        self.changed.emit()
        if asked:
            self._session.ask(
                lambda backend: backend.query("inspect_model", asked),
                lambda facts: self._got(asked, facts),
                lambda _error: self._got(asked, {}),
                owner=self,
            )

    def _got(self, asked: dict[str, Any], facts: dict[str, Any]) -> None:
        if asked != self._asked:
            return
        shape = facts.get("shape")
        self.shape = ModelShape.model_validate(shape) if isinstance(shape, dict) else None
        self.changed.emit()
