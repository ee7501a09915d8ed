"""Work on files beside the window's thread, for what needs no controller."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Slot

from engine.contract.errors import ErrorBody, UserError

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)
LOOK_MS = 20


class _Box:
    """What a thread found. It holds nothing of Qt, so that no widget is ever let go of on a thread."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: ErrorBody | None = None
        self.full = threading.Event()


class Aside(QObject):
    """Does things on short-lived threads; answers come on the window's thread, as long as this object lives."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: list[tuple[_Box, Callable[[Any], object], Callable[[ErrorBody], object]]] = []
        self._look = QTimer(self, interval=LOOK_MS)
        self._look.timeout.connect(self._deliver)

    def do(
        self, work: Callable[[], Answer], done: Callable[[Answer], object], failed: Callable[[ErrorBody], object]
    ) -> None:
        """Do `work`, which must hold no widget, then call `done` with its answer or `failed` with its error."""
        box = _Box()
        self._waiting.append((box, done, failed))
        threading.Thread(target=_work, args=(work, box), name="forge-aside", daemon=True).start()
        self._look.start()

    @Slot()
    def _deliver(self) -> None:
        ready = [entry for entry in self._waiting if entry[0].full.is_set()]
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        if not self._waiting:
            self._look.stop()
        for box, done, failed in ready:
            if box.error is None:
                done(box.value)
            else:
                failed(box.error)


def _work(work: Callable[[], Any], box: _Box) -> None:
    try:
        box.value = work()
    except UserError as known:
        box.error = known.body()
    except Exception as bug:
        log.exception("work beside the window failed")
        box.error = UserError("desktop.bug", detail=f"{type(bug).__name__}: {bug}").body()
    finally:
        box.full.set()
