"""Moves of runs from node to node: those under way, and those that ended lately. The controller has the last word."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.nodes import MOVE_STEPS, MoveView, Nodes
from forge_desktop.bridge.session import Session

KEPT = 20
"""So many that ended are remembered."""
LEAST_SECONDS = 1.0
"""Of copying, before it is said how long the rest takes."""


class MovesModel(QObject):
    """Follows the session's news of moves."""

    changed = Signal()
    failed = Signal(object)
    """ErrorBody: a wish was refused."""

    def __init__(
        self, session: Session, parent: QObject | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._session, self._clock = session, clock
        self._moves: dict[str, MoveView] = {}
        self._copying: dict[str, tuple[float, int]] = {}
        """When the first bytes of a copy were heard of, and how many they were."""
        self._dismissed: set[str] = set()
        self._given_up: set[str] = set()
        session.move_changed.connect(self._heard)
        session.online.connect(self.fetch)
        if session.is_online:
            self.fetch()

    @property
    def list(self) -> list[MoveView]:
        """Those under way, the first begun first; then those that ended, the latest first."""
        shown = [move for move in self._moves.values() if move.uid not in self._dismissed]
        return sorted(
            shown, key=lambda move: (move.state != "running", move.began if move.state == "running" else -_end(move))
        )

    def find(self, uid: str) -> MoveView | None:
        """A move by its id."""
        return self._moves.get(uid)

    def of_run(self, run: str) -> MoveView | None:
        """The move of a run that is under way."""
        return next((move for move in self._moves.values() if move.run == run and move.state == "running"), None)

    def seconds_left(self, move: MoveView) -> float | None:
        """How long the copy still takes at the pace so far; None while nobody can tell."""
        begun = self._copying.get(move.uid)
        if move.state != "running" or move.step != "copying" or begun is None:
            return None
        passed, brought = self._clock() - begun[0], move.bytes - begun[1]
        if passed < LEAST_SECONDS or brought <= 0:
            return None
        return (move.bytes_total - move.bytes) * passed / brought

    @Slot()
    def fetch(self) -> None:
        """Ask for all: what happened while nobody listened is not told again."""
        self._session.ask(lambda backend: backend.nodes(), self._got, lambda _error: None, owner=self)

    def _got(self, found: Nodes) -> None:
        for move in found.moves:
            self._take(move)
        self.changed.emit()

    @Slot(object)
    def _heard(self, move: MoveView) -> None:
        self._take(move)
        self.changed.emit()

    def _take(self, move: MoveView) -> None:
        known = self._moves.get(move.uid)
        if known is not None and known.state != "running" and move.state == "running":
            return  # an answer that was on its way when the move ended
        self._moves[move.uid] = move
        if move.step == "copying" and move.uid not in self._copying:
            self._copying[move.uid] = (self._clock(), move.bytes)
        over = sorted((one for one in self._moves.values() if one.state != "running"), key=_end)
        for one in over[: max(0, len(over) - KEPT)]:
            del self._moves[one.uid]
            self._copying.pop(one.uid, None)

    def begin(self, run: str, node: str, done: Callable[[MoveView], object], failed: Callable[[ErrorBody], object],
              owner: QObject) -> None:  # fmt: skip
        """Have a run moved; its steps come by themselves."""

        def begun(move: MoveView) -> None:
            if move.uid not in self._moves:  # its first news may have come before
                self._heard(move)
            done(move)

        self._session.ask(lambda backend: backend.move_run(run, node), begun, failed, owner=owner)

    def cancel(self, uid: str) -> None:
        """Give a move up; the source goes on."""
        self._given_up.add(uid)
        self.changed.emit()

        def refused(error: ErrorBody) -> None:
            self._given_up.discard(uid)
            self.failed.emit(error)

        self._session.ask(lambda backend: backend.cancel_move(uid), self._heard, refused, owner=self)

    def is_given_up(self, uid: str) -> bool:
        """Somebody wants it cancelled; the source takes over again."""
        return uid in self._given_up

    def dismiss(self, uid: str) -> None:
        """Somebody has read how a move ended."""
        self._dismissed.add(uid)
        self.changed.emit()


def share(move: MoveView) -> float:
    """How much of a move is done, of one: the copy is most of it."""
    if move.state == "done":
        return 1.0
    copied = move.bytes / move.bytes_total if move.bytes_total else 0.0
    begins = {"saving": 0.04, "stopping": 0.1, "copying": 0.14, "verifying": 0.84, "starting": 0.9, "releasing": 0.97}
    reached = begins.get(move.step, 1.0)
    return reached + 0.7 * min(1.0, copied) if move.step == "copying" else reached


def has_passed(move: MoveView, step: str) -> bool:
    """A step lies behind a move."""
    return move.state == "done" or [*MOVE_STEPS].index(move.step) > [*MOVE_STEPS].index(step)  # type: ignore[arg-type]


def _end(move: MoveView) -> float:
    return move.ended if move.ended is not None else move.began
