"""Where the data lies and what it takes, and the move of it to another folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.storage import Storage
from forge_desktop.bridge.backend import Backend, Cancelled
from forge_desktop.bridge.backend_settings import MoveProgress, MoveWish
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session


class StorageModel(QObject):
    """Asks for sizes; moves with progress. The desktop's own preferences go along."""

    changed = Signal()
    progressed = Signal(object)
    """MoveProgress."""
    failed = Signal(object)
    refused = Signal(object, object)
    """ErrorBody and MoveWish of a move that was not begun."""
    moved = Signal(object)
    """Path of the new folder."""
    _heard = Signal(object)

    def __init__(self, session: Session, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._preferences = session, preferences
        self.known: Storage | None = None
        self.fixed_by = ""
        self.old: Path | None = None
        self.moving = False
        self._unwanted = False
        self._heard.connect(self.progressed)
        session.online.connect(self.fetch)

    @Slot()
    def fetch(self, again: bool = False) -> None:
        """Ask now; `again` has everything counted anew."""

        def work(backend: Backend) -> tuple[Storage, str, Path | None]:
            return backend.storage(again), backend.why_fixed(), backend.old_home()

        self._session.ask(work, self._told, self._failed, owner=self)

    def move(self, wish: MoveWish) -> None:
        """Begin."""
        self.moving, self._unwanted = True, False
        closing = self._session.closing

        def tell(progress: MoveProgress) -> None:
            if closing.is_set() or (self._unwanted and progress.step in ("pausing", "stopping", "copying")):
                raise Cancelled
            self._heard.emit(progress)

        self._session.transfer(
            lambda b: b.move_home(wish, tell), self._moved, lambda error: self._stopped(error, wish), owner=self
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop copying; everything goes on in the old folder."""
        self._unwanted = True

    def delete_old(self) -> None:
        """Delete the folder whose data was moved away."""
        old = self.old
        if old is not None:
            self._session.transfer(lambda b: b.delete_old_home(old), lambda _n: self.fetch(), self._failed, owner=self)

    def _told(self, found: tuple[Storage, str, Path | None]) -> None:
        self.known, self.fixed_by, self.old = found
        self.changed.emit()

    def _moved(self, folder: Path) -> None:
        self.moving = False
        self._preferences.move_to(folder / "desktop" / "preferences.json")
        self.moved.emit(folder)
        self.fetch()

    def _stopped(self, error: ErrorBody, wish: MoveWish) -> None:
        self.moving = False
        self.refused.emit(error, wish)
        self.changed.emit()

    def _failed(self, error: ErrorBody) -> None:
        if self._session.is_online:
            self.failed.emit(error)
