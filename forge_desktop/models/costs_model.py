"""What was spent: asked for by day, node or person over the last days."""

from __future__ import annotations

import time
from typing import Literal

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.nodes import Costs
from forge_desktop.bridge.session import Session

By = Literal["day", "node", "owner"]
WAYS: tuple[By, ...] = ("day", "node", "owner")
DAYS = (7, 30, 90)
DAY = 86400.0
REFRESH_MS = 60_000


class CostsModel(QObject):
    """Asks again every minute."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.by: By = "day"
        self.days = 7
        self.costs: Costs | None = None
        self.error: ErrorBody | None = None
        self._asked = 0
        self._timer = QTimer(self, interval=REFRESH_MS)
        self._timer.timeout.connect(self.fetch)
        self._timer.start()
        session.online.connect(self.fetch)
        self.fetch()

    def show(self, by: str = "", days: int = 0) -> None:
        """Look at it another way."""
        self.by = next((one for one in WAYS if one == by), self.by)
        self.days = days or self.days
        self.fetch()

    @Slot()
    def fetch(self) -> None:
        """Ask; an older answer that comes late is dropped."""
        if not self._session.is_online:
            return
        self._asked += 1
        asked, by, until = self._asked, self.by, time.time()
        since = until - self.days * DAY

        def done(found: Costs) -> None:
            if asked == self._asked:
                self.costs, self.error = found, None
                self.changed.emit()

        self._session.ask(lambda backend: backend.costs(since, until, by), done, self._failed, owner=self)

    def _failed(self, error: ErrorBody) -> None:
        self.error = error
        self.changed.emit()
