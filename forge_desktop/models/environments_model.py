"""Worker environments as the controller knows them, asked again while one is being made or looked at."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.environments import Environments, MakeEnvironment
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.session import Session

SOON_MS, SELDOM_MS = 700, 15_000


class EnvironmentsModel(QObject):
    """Polls, since the making of one outlives window and controller."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.known: Environments | None = None
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.fetch)
        session.online.connect(self.fetch)
        session.settings_changed.connect(self._settings_changed)

    @Slot()
    def fetch(self, again: bool = False) -> None:
        """Ask now; `again` has the controller start every interpreter anew."""
        self._timer.stop()
        self._session.ask(lambda b: b.environments(again), self._told, self._failed, owner=self)

    @Slot(object)
    def _settings_changed(self, _settings: object) -> None:
        self.fetch()

    def make(self, wish: MakeEnvironment) -> None:
        """Begin to make one, or go on with one."""
        self._session.ask(lambda b: b.make_environment(wish), self._told, self.failed.emit, owner=self)

    def end(self, name: str, what: Literal["cancel", "delete"]) -> None:
        """Stop the making of one, or delete it."""
        self._session.ask(lambda b: b.end_environment(name, what), self._told, self.failed.emit, owner=self)

    def _told(self, known: Environments) -> None:
        self.known = known
        self._timer.start(SOON_MS if any(one.unsettled for one in known.environments) else SELDOM_MS)
        self.changed.emit()

    def _failed(self, error: ErrorBody) -> None:
        self._timer.start(SELDOM_MS)
        if self._session.is_online:
            self.failed.emit(error)
