"""Answers of an instance on their way to the window: a thread each, and one look at all of them a frame.

The threads hold nothing of Qt but the session, which outlives them, so that no widget is ever let go of on one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Slot

from engine.client.serving import Piece, Stop
from engine.contract.errors import ErrorBody, UserError
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session

log = logging.getLogger(__name__)
LOOK_MS = 33
"""Pieces come a hundred times a second; eyes see thirty pictures."""


@dataclass
class Wish:
    """One answer that is wanted, and who hears of it on the window's thread."""

    run: str
    body: dict[str, Any]
    heard: Callable[[list[Piece], float | None], object]
    """New pieces, and seconds to the first one."""
    ended: Callable[[ErrorBody | None], object]
    stop: Stop = field(default_factory=Stop)


class _Box:
    """What a thread heard and nobody took yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pieces: list[Piece] = []
        self.first: float | None = None
        self.error: ErrorBody | None = None
        self.full = False

    def take(self) -> tuple[list[Piece], float | None, bool]:
        with self.lock:
            pieces, self.pieces = self.pieces, []
            return pieces, self.first, self.full


class ChatLine(QObject):
    """Asks, and hands on what comes as long as this object lives."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._open: list[tuple[Wish, _Box]] = []
        self._look = QTimer(self, interval=LOOK_MS)
        self._look.timeout.connect(self._deliver)

    @property
    def is_busy(self) -> bool:
        """An answer is on its way."""
        return bool(self._open)

    def begin(self, wish: Wish) -> Stop:
        """Have it answered; the stop ends it at any time, and `ended` is told."""
        box = _Box()
        self._open.append((wish, box))
        arguments = (self._session, wish.run, wish.body, wish.stop, box)
        threading.Thread(target=_listen, args=arguments, name="forge-aside", daemon=True).start()
        self._look.start()
        return wish.stop

    def stop_all(self) -> None:
        """End everything."""
        for wish, _box in self._open:
            wish.stop.set()

    def hang_up(self) -> None:
        """End everything, and tell nobody."""
        self.stop_all()
        self._open = []
        self._look.stop()

    @Slot()
    def _deliver(self) -> None:
        for entry in list(self._open):
            wish, box = entry
            pieces, first, full = box.take()
            if full:
                self._open.remove(entry)
            if pieces:
                wish.heard(pieces, first)
            if full:
                wish.ended(box.error)
        if not self._open:
            self._look.stop()


def _listen(session: Session, run: str, body: dict[str, Any], stop: Stop, box: _Box) -> None:
    try:
        backend = session.wait_for_backend()
        wish = fitting(backend, run, body)
        began = time.monotonic()
        for piece in backend.chat_stream(run, wish, stop):
            with box.lock:
                if box.first is None and piece.text:
                    box.first = time.monotonic() - began
                box.pieces.append(piece)
            if stop.is_set():
                break
    except UserError as known:
        box.error = known.body()
    except Exception as bug:
        if not session.closing.is_set() and not stop.is_set():  # else its connection was closed under it
            log.exception("an answer failed")
        box.error = UserError("desktop.bug", detail=f"{type(bug).__name__}: {bug}").body()
    finally:
        with box.lock:
            box.full = True


def fitting(backend: Backend, run: str, body: dict[str, Any]) -> dict[str, Any]:
    """The same with no longer an answer than there is room for behind the prompt; an instance refuses a longer one."""
    most = body.get("max_tokens")
    if not most:
        return body
    try:
        used, context = backend.count_tokens(run, body["messages"])
    except UserError:
        return body  # asking itself says better what is wrong
    room = context - used
    return {**body, "max_tokens": room} if 0 < room < most else body
