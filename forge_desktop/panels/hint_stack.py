"""What a page shows, or the hint that stands in its place."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtWidgets import QStackedWidget, QWidget

from forge_desktop.panels.page import Hint


class HintStack(QStackedWidget):
    """Rows, or one of the hints by its key."""

    def __init__(self, rows: QWidget, hints: Mapping[str, Hint]) -> None:
        super().__init__()
        self._hints = dict(hints)
        self.addWidget(rows)
        for hint in self._hints.values():
            self.addWidget(hint)

    def show_hint(self, key: str) -> None:
        """This hint; an empty key shows the rows."""
        self.setCurrentIndex(0) if not key else self.setCurrentWidget(self._hints[key])

    @property
    def state(self) -> str:
        """Which hint is shown; empty while rows are."""
        return next((key for key, hint in self._hints.items() if hint is self.currentWidget()), "")
