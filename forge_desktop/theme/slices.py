"""Work on the window's thread that is done a slice a turn of the event loop, so that the window never stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from PySide6.QtCore import QObject, QTimer, Slot

from forge_desktop.theme.turns import Turns


class Slices(QObject):
    """Does one thing after another; it ends with its parent, and beginning anew forgets what was left."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._left: Iterator[Callable[[], object]] = iter(())
        self._turn = QTimer(self, interval=0)
        self._turn.timeout.connect(self._next)

    def begin(self, work: Iterable[Callable[[], object]], now: bool = True) -> None:
        """Do the first slice now, or in the next turn, and the rest in the turns that come."""
        self._left = iter(work)
        self._turn.start()
        if now:
            self._do_next()

    def finish(self) -> None:
        """Somebody needs all of it: do what is left now."""
        self._turn.stop()
        for work in self._left:
            work()

    def stop(self) -> None:
        """Nobody needs what is left: what it would work on is being let go."""
        self._left = iter(())
        self._turn.stop()

    @property
    def is_done(self) -> bool:
        """Nothing is left to do."""
        return not self._turn.isActive()

    @Slot()
    def _next(self) -> None:
        if Turns.take():  # else another's slice was done in this turn
            self._do_next()

    def _do_next(self) -> None:
        work = next(self._left, None)
        if work is None:
            self._turn.stop()
        else:
            work()
