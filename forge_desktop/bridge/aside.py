"""Work on files beside the window's thread, for what needs no controller."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal, Slot

from engine.contract.errors import ErrorBody, UserError

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Aside(QObject):
    """Does things one after another; answers come on the window's thread, unless their owner is gone by then."""

    _done = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._done.connect(self._deliver)

    def do(
        self, work: Callable[[], Answer], done: Callable[[Answer], object], failed: Callable[[ErrorBody], object]
    ) -> None:
        """Do `work`, then call `done` with its answer or `failed` with its error."""
        self._pool.start(_Work(self, work, done, failed))

    @Slot(object)
    def _deliver(self, then: Callable[[], object]) -> None:
        then()


class _Work(QRunnable):
    def __init__(
        self,
        aside: Aside,
        work: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[ErrorBody], object],
    ) -> None:
        super().__init__()
        self._aside, self._work, self._done, self._failed = aside, work, done, failed

    def run(self) -> None:
        """Qt's own hook: on the pool's thread."""
        try:
            value = self._work()
        except UserError as known:
            self._tell(self._failed, known.body())
        except Exception as bug:
            log.exception("work beside the window failed")
            self._tell(self._failed, UserError("desktop.bug", detail=f"{type(bug).__name__}: {bug}").body())
        else:
            self._tell(self._done, value)

    def _tell(self, then: Callable[[Any], object], value: Any) -> None:
        if shiboken6.isValid(self._aside):
            self._aside._done.emit(lambda: then(value))
