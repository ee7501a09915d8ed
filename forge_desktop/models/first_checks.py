"""What a first run needs of this computer, looked up one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.api import Health
from engine.contract.errors import ErrorBody
from engine.contract.stream import Resources
from forge_desktop.bridge.backend_notices import DiskRoom
from forge_desktop.bridge.session import Session

ENOUGH_ROOM = 2_000_000_000
WAITING, GOOD, FAIR, BAD = "waiting", "good", "fair", "bad"
CONTROLLER, WORKER, DEVICE, DISK = CHECKS = ("controller", "worker", "device", "disk")


@dataclass
class Check:
    """One thing that was looked at: how it stands, and what was found."""

    state: str = WAITING
    facts: dict[str, object] = field(default_factory=dict)
    error: ErrorBody | None = None


class FirstChecks(QObject):
    """Asks the controller; `look` asks anew."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.found = {name: Check() for name in CHECKS}
        session.online.connect(self.look)
        session.offline.connect(self._offline)

    @property
    def ready(self) -> bool:
        """The demo can be started; a computer without a GPU is slower, no more."""
        return all(self.found[name].state in (GOOD, FAIR) for name in (CONTROLLER, WORKER, DISK))

    @property
    def busy(self) -> bool:
        """Some answers are still to come."""
        return any(check.state == WAITING for check in self.found.values())

    @Slot()
    def look(self) -> None:
        """Look at everything again."""
        self.found = {name: Check() for name in CHECKS}
        self.changed.emit()
        ask = self._session.ask
        ask(lambda backend: backend.health(), self._health, self._offline, owner=self)
        ask(lambda backend: backend.resources(), self._device, lambda _e: self._set(DEVICE, FAIR), owner=self)
        ask(lambda backend: backend.disk_room(), self._room, lambda _e: self._set(DISK, FAIR), owner=self)

    def _set(self, check: str, state: str, error: ErrorBody | None = None, **facts: object) -> None:
        self.found[check] = Check(state, facts, error)
        self.changed.emit()

    def _health(self, health: Health) -> None:
        self._set(CONTROLLER, GOOD, version=health.version)
        if health.worker_python:
            self._set(WORKER, GOOD, python=health.worker_python)
        else:
            self._set(WORKER, BAD)

    @Slot(object)
    def _offline(self, error: ErrorBody) -> None:
        self._set(CONTROLLER, BAD, error)

    def _device(self, now: Resources) -> None:
        gpus = [name for key, name in sorted(now.names.items()) if key.startswith("gpu")]
        memory = now.values.get("gpu0.memory_total") if gpus else now.values.get("ram.total")
        name = gpus[0] if gpus else now.names.get("cpu", "")
        self._set(DEVICE, GOOD if gpus else FAIR, gpus=len(gpus), name=name, memory=memory)

    def _room(self, room: DiskRoom | None) -> None:
        if room is None:
            self._set(DISK, FAIR)
        else:
            self._set(DISK, GOOD if room.free >= ENOUGH_ROOM else BAD, free=room.free, folder=room.folder)
