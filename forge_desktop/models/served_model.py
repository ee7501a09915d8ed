"""One instance as its page shows it: looked at every two seconds, with what it was like before, and its keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.serving import LoadAdapter, MadeKey, NewKey, ServeKey, ServeStatus
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.backend_instance import Seen
from forge_desktop.bridge.session import Session

EVERY_MS = 2000
KEPT = 150
"""Looks that are remembered: five minutes."""

CURVES: dict[str, Callable[[ServeStatus], float]] = {
    "rate": lambda now: now.requests_per_minute,
    "tokens": lambda now: now.tokens_per_second,
    "first": lambda now: now.first_token.p50,
    "each": lambda now: now.each_token.p50,
    "queue": lambda now: now.queue.p50,
    "whole": lambda now: now.whole.p50,
    "cache": lambda now: now.cache_hit_rate,
    "busy": lambda now: float(now.running + now.waiting),
}
"""What has a small curve, and where it stands."""


class ServedModel(QObject):
    """Follows one instance while it is shown; what is asked of it comes back as signals."""

    changed = Signal()
    """It was looked at."""
    keys_changed = Signal()
    made_key = Signal(object)
    """MadeKey, told this once."""
    failed = Signal(object)
    """ErrorBody of something a person asked for."""

    def __init__(self, session: Session, uid: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self.uid = session, uid
        self.seen = Seen()
        self.keys: list[ServeKey] = []
        self.curves: dict[str, deque[float]] = {name: deque(maxlen=KEPT) for name in CURVES}
        self._looking = False
        self._again = QTimer(self, interval=EVERY_MS)
        self._again.timeout.connect(self.look)
        session.online.connect(self._line_is_new)

    def set_watching(self, on: bool) -> None:
        """Look every two seconds, or no longer."""
        if on:
            self._again.start()
            self._line_is_new()
        else:
            self._again.stop()

    @Slot()
    def _line_is_new(self) -> None:
        self.look()
        self.fetch_keys()

    @Slot()
    def look(self) -> None:
        """See how it is doing; one look at a time."""
        if self._looking or not self._session.is_online:
            return
        self._looking = True
        uid = self.uid
        self._session.ask(lambda backend: backend.look_at_instances([uid]), self._saw, self._blind, owner=self)

    def _saw(self, seen: Mapping[str, Seen]) -> None:
        self._looking = False
        self.seen = seen.get(self.uid, Seen())
        if self.seen.status is not None:
            for name, value in CURVES.items():
                self.curves[name].append(value(self.seen.status))
        self.changed.emit()

    def _blind(self, _error: ErrorBody) -> None:
        self._looking = False

    @Slot()
    def fetch_keys(self) -> None:
        """Ask who may ask it."""
        uid = self.uid
        self._session.ask(lambda backend: backend.serve_keys(uid), self._got_keys, lambda _error: None, owner=self)

    def _got_keys(self, keys: list[ServeKey]) -> None:
        self.keys = sorted(keys, key=lambda key: -key.created)
        self.keys_changed.emit()

    def make_key(self, asked: NewKey, done: Callable[[MadeKey], object], failed: Callable[[ErrorBody], object]) -> None:
        """A new key, for the dialog that asked."""
        uid = self.uid

        def made(key: MadeKey) -> None:
            done(key)
            self.fetch_keys()

        self._session.ask(lambda backend: backend.make_serve_key(uid, asked), made, failed, owner=self)

    def rotate(self, key_id: str, hours: float) -> None:
        """Another key in the place of one."""
        uid = self.uid

        def made(key: MadeKey) -> None:
            self.made_key.emit(key)
            self.fetch_keys()

        self._session.ask(lambda backend: backend.rotate_serve_key(uid, key_id, hours), made, self.failed.emit,
                          owner=self)  # fmt: skip

    def revoke(self, key_id: str) -> None:
        """It is refused from now on."""
        uid = self.uid
        self._do(lambda backend: backend.revoke_serve_key(uid, key_id), self.fetch_keys)

    def load(self, name: str, path: str) -> None:
        """Have an adapter answer under a name."""
        uid, wish = self.uid, LoadAdapter(name=name, path=path)
        self._do(lambda backend: backend.serve_adapter(uid, wish), self.look)

    def unload(self, name: str) -> None:
        """Let an adapter go."""
        uid = self.uid
        self._do(lambda backend: backend.unserve_adapter(uid, name), self.look)

    def _do(self, work: Callable[[Backend], Any], then: Callable[[], object]) -> None:
        self._session.ask(work, lambda _done: then(), self.failed.emit, owner=self)
