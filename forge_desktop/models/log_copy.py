"""The text between two places of a log, read off the window's thread, up to what a clipboard bears."""

from __future__ import annotations

from collections.abc import Callable

from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend import Backend
from forge_desktop.models.log_lines import rows_of
from forge_desktop.models.log_model import LogModel, Place, read_part

MOST = 5_000_000
"""Characters that are copied at once."""
Spot = tuple[Place, int]
"""A place and a character in its line."""


def copy_between(log: LogModel, begin: Spot, end: Spot, done: Callable[[str, bool], object]) -> None:
    """Hand the text to `done`, and whether something at its end had to be left out."""
    uid, attempt, mask, number = log.uid, log.attempt, log.mask, log.generation
    first, last = begin[0][0], min(end[0][0], log.chunks - 1)
    carries = [log.carry(chunk) for chunk in range(first, last + 1)]

    def work(backend: Backend) -> tuple[str, bool]:
        lines: list[str] = []
        length = 0
        for chunk in range(first, last + 1):
            part = read_part(backend, uid, attempt, chunk)
            rows = rows_of(part, chunk, mask, carries[chunk - first], shown=MOST)
            for place, row in enumerate(rows):
                text = _cut(row.text, (chunk, place), begin, end)
                if text is None:
                    continue
                if length + len(text) > MOST:
                    return "\n".join(lines), True
                lines.append(text)
                length += len(text) + 1
        return "\n".join(lines), False

    def got(found: tuple[str, bool]) -> None:
        if number == log.generation:
            done(*found)

    def bad(error: ErrorBody) -> None:
        log.failed.emit(error)

    log.session.transfer(work, got, bad, log)


def _cut(text: str, at: Place, begin: Spot, end: Spot) -> str | None:
    """What of a line lies between two spots; None if it lies outside of them."""
    if not begin[0] <= at <= end[0]:
        return None
    return text[begin[1] if at == begin[0] else 0 : end[1] if at == end[0] else None]
