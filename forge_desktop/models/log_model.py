"""The log of a run as rows, however long it is: read by pieces, counted and searched in the background.

In memory are a few pieces around what is shown, and three numbers for each 64 kB of the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.stream import LogGrew
from forge_desktop.bridge.backend import Backend, LogPart
from forge_desktop.bridge.session import Session
from forge_desktop.models.log_lines import (
    ALL,
    CHUNK,
    HEAD,
    INFO,
    Row,
    asked_from,
    clean,
    count_lines,
    count_passing,
    rows_of,
    starts_of,
)

PIECE = 16
"""Chunks that are counted at once."""
KEPT = 12
"""Chunks whose rows stay in memory."""
GROWN_MS = 120
AGAIN_MS = 2000
GUESS = 600
"""Lines a chunk is taken to have while none was counted."""
LONGEST = 4 << 20
"""Bytes of one line that are read to find its end."""
Place = tuple[int, int]
"""A chunk, and a row in it."""


@dataclass
class Piece:
    """Rows of one chunk, the level in force before it, and the size of the log they were read from."""

    rows: list[Row]
    carry: int
    size: int
    whole: bool
    """Nothing that comes later can change them."""


class LogModel(QObject):
    """Follows the log of one run. The view asks for rows by place; what is not here yet comes with `changed`."""

    changed = Signal()
    """Rows, their number or the size are news."""
    restarted = Signal()
    """It is another log now: another attempt, or other levels."""
    grew = Signal()
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, session: Session, uid: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session, self.uid = session, uid
        self.attempt = 0
        """0: the latest."""
        self.mask = ALL
        self.size: int | None = None
        """Bytes; None while nobody answered."""
        self.generation = 0
        self._pieces: OrderedDict[int, Piece] = OrderedDict()
        self._asked: set[int] = set()
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._carries: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._before: NDArray[np.int64] | None = None
        self._counted_size = 0
        self._counting = False
        self._final = 0
        """Chunks before this one are counted for good."""
        self._latest = 0
        self._soon = QTimer(self, singleShot=True, interval=GROWN_MS)
        self._soon.timeout.connect(self._count_on)
        self._again = QTimer(self, singleShot=True, interval=AGAIN_MS)
        self._again.timeout.connect(self.refresh)
        session.log_grew.connect(self._log_grew)
        session.online.connect(self.refresh)

    @property
    def chunks(self) -> int:
        """How many chunks the log has."""
        return -(-(self.size or 0) // CHUNK)

    @property
    def counted(self) -> float:
        """Share of the log whose lines are counted."""
        return min(1.0, self._counted_size / self.size) if self.size else 1.0

    def restart(self, attempt: int | None = None, mask: int | None = None) -> None:
        """Show the log of another attempt, or other levels."""
        self.attempt = self.attempt if attempt is None else attempt
        self.mask = self.mask if mask is None else mask
        if attempt is not None:
            self.size = None
        self._forget()
        self.restarted.emit()
        self.refresh()

    def _forget(self) -> None:
        self.generation += 1
        self._pieces.clear()
        self._asked.clear()
        self._counts, self._carries = np.full(self.chunks, -1), np.zeros(self.chunks, np.uint8)
        self._before, self._final, self._counted_size, self._counting = None, 0, 0, False

    @Slot()
    def refresh(self) -> None:
        """Ask how long the log is by now."""
        self._again.stop()
        self._ask(lambda backend, attempt: backend.log(self.uid, attempt, 0, 0), lambda part: self._set_size(part.size))

    def _ask(
        self,
        work: Callable[[Backend, int], object],
        done: Callable[[object], object] | Callable[..., object],
        missed: Callable[[], object] | None = None,
    ) -> None:
        """Do work with the log of now; an answer that belongs to another one by then is dropped."""
        generation, attempt = self.generation, self.attempt

        def fine(answer: object) -> None:
            if generation == self.generation:
                done(answer)

        def bad(error: ErrorBody) -> None:
            if generation == self.generation:
                if missed is not None:
                    missed()
                self._failed(error)

        self.session.ask(lambda backend: work(backend, attempt), fine, bad, owner=self)

    def _failed(self, error: ErrorBody) -> None:
        self.failed.emit(error)
        if self.session.is_online and error.code != "run.unknown":
            self._again.start()

    @Slot(object)
    def _log_grew(self, news: LogGrew) -> None:
        if news.run != self.uid or (self.attempt and news.attempt != self.attempt):
            return
        if self._latest and news.attempt != self._latest:  # a new attempt writes a log of its own
            self.size = None
            self._forget()
            self.restarted.emit()
        self._latest = news.attempt
        self._set_size(news.size)

    def _set_size(self, size: int) -> None:
        known = self.size
        if known is not None and size < known:  # its beginning went, or all of it
            self.size = size
            self._forget()
            self.restarted.emit()
        self.size = size
        missing = self.chunks - len(self._counts)
        if missing > 0:
            self._counts = np.concatenate([self._counts, np.full(missing, -1)])
            self._carries = np.concatenate([self._carries, np.zeros(missing, np.uint8)])
        if known != size:
            self._before = None
            self.grew.emit()
            self.changed.emit()
        if not self._soon.isActive():
            self._soon.start(GROWN_MS if self._counted_size else 0)

    # Rows

    def rows(self) -> int:
        """How many rows there are, as far as that is known."""
        before = self._starts()
        return int(before[-1])

    def _starts(self) -> NDArray[np.int64]:
        """The number of the first row of each chunk, and one more; chunks not counted yet are guessed."""
        if self._before is None:
            known = self._counts >= 0
            guess = GUESS if not known.any() else max(1, round(float(self._counts[known].mean())))
            guess = guess if self.mask == ALL else 0
            self._before = np.concatenate([[0], np.cumsum(np.where(known, self._counts, guess))])
        return self._before

    def place(self, row: int) -> Place:
        """Where a row is."""
        starts = self._starts()
        if len(starts) < 2:
            return 0, 0
        chunk = int(np.searchsorted(starts, max(0, row), side="right")) - 1
        chunk = min(max(chunk, 0), len(starts) - 2)
        return chunk, max(0, row - int(starts[chunk]))

    def row(self, place: Place) -> int:
        """The number of a row."""
        starts = self._starts()
        return int(starts[min(place[0], len(starts) - 1)]) + place[1]

    def exact(self, place: Place) -> bool:
        """Whether that number is right already."""
        return place[0] <= self._final

    def chunk(self, number: int) -> list[Row] | None:
        """The rows of a chunk, or None: they are asked for. Rows that may have changed are asked for as well."""
        if not 0 <= number < self.chunks:
            return []
        if self._counts[number] == 0 and number < self._final:
            return []
        piece = self._pieces.get(number)
        if piece is None:
            self._fetch(number)
            return None
        self._pieces.move_to_end(number)
        if (not piece.whole and piece.size < (self.size or 0)) or piece.carry != self.carry(number):
            self._fetch(number)
        return piece.rows

    def carry(self, number: int) -> int:
        """The level in force before a chunk; information as long as nobody knows."""
        return int(self._carries[number - 1]) or INFO if number else INFO

    def _fetch(self, number: int) -> None:
        if number in self._asked:
            return
        self._asked.add(number)
        uid, mask, carry = self.uid, self.mask, self.carry(number)
        self._ask(
            lambda backend, attempt: read_piece(backend, uid, attempt, number, mask, carry),
            lambda piece: self._got(number, piece),
            lambda: self._asked.discard(number),
        )

    def _got(self, number: int, piece: Piece) -> None:
        self._asked.discard(number)
        self._pieces[number] = piece
        self._pieces.move_to_end(number)
        while len(self._pieces) > KEPT:
            self._pieces.popitem(last=False)
        if number >= self._final and number < len(self._counts) and piece.carry == self.carry(number):
            self._counts[number] = len(piece.rows)
            self._before = None
        self.changed.emit()

    # Counting

    @Slot()
    def _count_on(self) -> None:
        """Count the lines of the next piece that is not counted for good."""
        if self._counting or self.size is None or self._counted_size >= self.size:
            return
        self._counting = True
        first, uid, mask = self._final, self.uid, self.mask
        chunks = min(PIECE, self.chunks - first)
        carry = self.carry(first)

        def work(backend: Backend, attempt: int) -> tuple[NDArray[np.int64], NDArray[np.uint8], int]:
            asked = asked_from(first)
            part = backend.log(uid, attempt, asked, (first + chunks) * CHUNK - asked + HEAD)
            if mask == ALL:
                return count_lines(part, first, chunks), np.zeros(chunks, np.uint8), part.offset + len(part.data)
            return *count_passing(part, first, chunks, mask, carry), part.offset + len(part.data)

        self._ask(work, lambda found: self._counted(first, *found), self._count_failed)

    def _count_failed(self) -> None:
        self._counting = False

    def _counted(self, first: int, counts: NDArray[np.int64], carries: NDArray[np.uint8], end: int) -> None:
        self._counting = False
        last = min(first + len(counts), len(self._counts))
        self._counts[first:last] = counts[: last - first]
        self._carries[first:last] = carries[: last - first]
        self._counted_size = min(end, last * CHUNK)
        self._final = max(self._final, min(last, end // CHUNK))
        self._before = None
        self.changed.emit()
        if self._counted_size < (self.size or 0):
            if last * CHUNK >= (self.size or 0):
                self._soon.start(GROWN_MS)  # it grows: not in a frenzy
            else:
                self._count_on()

    # More of a line, and many of them

    def whole_line(self, offset: int, done: Callable[[str], object]) -> None:
        """A line in full, however long."""
        uid = self.uid

        def work(backend: Backend, attempt: int) -> str:
            return clean(backend.log(uid, attempt, offset, LONGEST).data.partition(b"\n")[0])

        self._ask(work, done)


def read_part(backend: Backend, uid: str, attempt: int, chunk: int, chunks: int = 1) -> LogPart:
    """The bytes of some chunks, and on to the end of the last line that begins in them."""
    asked, end = asked_from(chunk), (chunk + chunks) * CHUNK
    part = backend.log(uid, attempt, asked, end - asked + HEAD)
    data, whole = part.data, part.offset + len(part.data)
    starts = starts_of(part, asked)
    if not ((starts >= chunk * CHUNK) & (starts < end)).any():
        return part  # nothing begins here
    while b"\n" not in data[max(0, end - part.offset - 1) :] and whole < part.size and whole - end < LONGEST:
        more = backend.log(uid, attempt, whole, 4 * CHUNK).data
        if not more:
            break
        data, whole = data + more, whole + len(more)
    return LogPart(data, part.offset, part.size)


def read_piece(backend: Backend, uid: str, attempt: int, chunk: int, mask: int, carry: int) -> Piece:
    """The rows of a chunk."""
    part = read_part(backend, uid, attempt, chunk)
    ended = b"\n" in part.data[max(0, (chunk + 1) * CHUNK - part.offset - 1) :]
    return Piece(rows_of(part, chunk, mask, carry), carry, part.size, ended)
