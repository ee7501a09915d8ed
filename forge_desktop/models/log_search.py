"""Searching a whole log, piece by piece in the background: matches counted so far, forward and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from forge_desktop.bridge.backend import Backend
from forge_desktop.models.log_lines import ALL, CHUNK, Needle, hit_rows, hits
from forge_desktop.models.log_model import PIECE, LogModel, Place, read_part

GROWN_MS = 300


class LogSearch(QObject):
    """Counts the lines with a text in them and finds the next one. Another text, or none, ends what goes on."""

    changed = Signal()
    """The count is news."""
    found = Signal(object)
    """Place of the line that was looked for."""
    missed = Signal()
    """There is none."""

    def __init__(self, log: LogModel) -> None:
        super().__init__(log)
        self._log = log
        self.needle = Needle("")
        self._number = 0
        self._hits: NDArray[np.int64] = np.empty(0, np.int64)
        self._sizes: NDArray[np.int64] = np.empty(0, np.int64)
        """How long the log was when a chunk was searched."""
        self._begin = 0
        self._busy = False
        self._wanted: tuple[Place, int] | None = None
        """Look from where, and in which direction."""
        self._looking = False
        self._soon = QTimer(self, singleShot=True, interval=GROWN_MS)
        self._soon.timeout.connect(self._go_on)
        log.restarted.connect(self._restarted)
        log.changed.connect(self._grown)

    @property
    def total(self) -> int:
        """Matching lines found so far."""
        return int(self._hits[self._hits > 0].sum())

    @property
    def complete(self) -> bool:
        """The whole log was searched."""
        return not self.needle.text or self._next_piece() is None

    @property
    def share(self) -> float:
        """How much of the log was searched."""
        return float((self._hits >= 0).mean()) if len(self._hits) else 1.0

    def start(self, needle: Needle, near: int = 0) -> None:
        """Search for something else, from a chunk on and around; nothing ends the search."""
        if needle != self.needle:
            self.needle = needle
            self._clear()
            self._begin = near
        self.changed.emit()
        self._go_on()

    def _clear(self) -> None:
        self._number += 1
        self._hits, self._sizes = np.full(self._log.chunks, -1), np.zeros(self._log.chunks, np.int64)
        self._busy = self._looking = False
        self._wanted = None

    @Slot()
    def _restarted(self) -> None:
        self._clear()
        self._soon.start()

    @Slot()
    def _grown(self) -> None:
        if self.needle.text and not self._busy and not self._soon.isActive() and self._next_piece() is not None:
            self._soon.start()

    def _next_piece(self) -> int | None:
        """The next chunk that was not searched, or was while it was shorter."""
        size, chunks = self._log.size or 0, self._log.chunks
        missing = chunks - len(self._hits)
        if missing > 0:
            self._hits = np.concatenate([self._hits, np.full(missing, -1)])
            self._sizes = np.concatenate([self._sizes, np.zeros(missing, np.int64)])
        ends = np.minimum(np.arange(1, len(self._hits) + 1) * CHUNK, size)
        open_ = np.flatnonzero((self._hits < 0) | (self._sizes < ends))
        if len(open_) == 0:
            return None
        later = open_[open_ >= self._begin]
        return int(later[0] if len(later) else open_[0])

    @Slot()
    def _go_on(self) -> None:
        first = self._next_piece()
        log = self._log
        if self._busy or not self.needle.text or first is None:
            return
        if log.mask != ALL and not log.exact((first, 0)):
            self._soon.start()  # which lines pass is not known yet
            return
        chunks = min(PIECE, log.chunks - first)
        if log.mask != ALL:
            chunks = max(1, min(chunks, sum(log.exact((first + n, 0)) for n in range(chunks))))
        self._busy = True
        number, uid, needle, mask = self._number, log.uid, self.needle, log.mask
        carries = [log.carry(first + n) for n in range(chunks)]
        attempt = log.attempt

        def work(backend: Backend) -> tuple[NDArray[np.int64], int]:
            part = read_part(backend, uid, attempt, first, chunks)
            return hits(part, first, chunks, needle, mask, carries), part.size

        log.session.ask(
            work, lambda found: self._got(number, first, *found), lambda _error: self._failed(number), owner=self
        )

    def _failed(self, number: int) -> None:
        if number == self._number:
            self._busy = False
            self._soon.start()

    def _got(self, number: int, first: int, found: NDArray[np.int64], size: int) -> None:
        if number != self._number:
            return
        self._busy = False
        last = min(first + len(found), len(self._hits))
        self._hits[first:last], self._sizes[first:last] = found[: last - first], size
        self.changed.emit()
        self._look()
        following = self._next_piece()
        if following is not None and first <= following < last:
            self._soon.start()  # it grew meanwhile: not in a frenzy
        elif following is not None:
            self._go_on()

    # Going from one to the next

    def go(self, near: Place, direction: int) -> None:
        """Find the next matching line after (1) or before (-1) a place; it comes with `found`."""
        if self.needle.text:
            self._wanted = (near, direction)
            self._look()

    def _look(self) -> None:
        if self._wanted is None or self._looking:
            return
        (chunk, row), direction = self._wanted
        order = np.arange(len(self._hits))
        order = np.roll(order, -chunk) if direction > 0 else np.roll(order[::-1], chunk + 1)
        order = np.append(order, order[:1])  # once around, back to where it began
        for place, candidate in enumerate(order.tolist()):
            if self._hits[candidate] < 0:
                return  # wait until it is searched
            if self._hits[candidate] > 0:
                self._look_into(candidate, row if place == 0 else None, direction, place, order.tolist())
                return
        self._wanted = None
        self.missed.emit()

    def _look_into(self, chunk: int, after: int | None, direction: int, place: int, order: list[int]) -> None:
        self._looking = True
        log, number, needle = self._log, self._number, self.needle
        uid, attempt, mask, carry = log.uid, log.attempt, log.mask, log.carry(chunk)

        def work(backend: Backend) -> list[int]:
            return hit_rows(read_part(backend, uid, attempt, chunk), chunk, needle, mask, carry)

        def done(rows: list[int]) -> None:
            if number != self._number:
                return
            self._looking = False
            usable = [row for row in rows if after is None or (row - after) * direction > 0]
            if usable:
                self._wanted = None
                self.found.emit((chunk, usable[0] if direction > 0 else usable[-1]))
            else:  # nothing more here: on with the next chunk
                following = order[place + 1] if place + 1 < len(order) else chunk
                self._wanted = ((following, -1 if direction > 0 else 1 << 60), direction)
                self._look()

        def bad(_error: object) -> None:
            if number == self._number:
                self._looking, self._wanted = False, None

        log.session.ask(work, done, bad, owner=self)
