"""Bytes of a log as the lines people read: levels, colours and control characters removed, progress bars folded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge_desktop.bridge.backend import LogPart

CHUNK = 1 << 16
"""A log is looked at in pieces of so many bytes; a line belongs to the piece it begins in."""
HEAD = 64
"""Bytes at the beginning of a line in which its level is looked for."""
SHOWN = 2000
"""Characters of a line that are shown; the rest is shown when asked for."""
INFO, WARNING, ERROR = 1, 2, 4
ALL = INFO | WARNING | ERROR

_LEVEL = re.compile(
    rb"(?:^|[\s\[|])(DEBUG|INFO|SAVE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)(?=[\s\]:|]|$)"
    rb'|"level": ?"(debug|info|warning|error|critical)"|^(Traceback) \(most recent'
)
_BITS = {b"WARN": WARNING, b"WARNING": WARNING, b"ERROR": ERROR, b"CRITICAL": ERROR, b"FATAL": ERROR}
_BITS |= {b"warning": WARNING, b"error": ERROR, b"critical": ERROR, b"Traceback": ERROR}
_ANSI = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Za-z0-9]|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_FOLD = re.compile(r"[^\n]*\r(?=[^\r\n])|\r+(?=\n|$)")
_ODD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_INSTEAD = {"\t": "    ", "\r": "", "\ufeff": ""}


@dataclass(slots=True, frozen=True)
class Row:
    """One line: where it begins in the log, what it says, its level, and how many characters are not shown."""

    offset: int
    text: str
    level: int
    hidden: int = 0


def clean(data: bytes) -> str:
    """Text of whole lines as people read them: no colours, only the last state of a progress bar, nothing odd."""
    text = data.decode("utf-8", errors="replace")
    if "\x1b" in text or "\x9b" in text:
        text = _ANSI.sub("", text)
    if "\r" in text:
        text = _FOLD.sub("", text)
    return _ODD.sub(lambda found: _INSTEAD.get(found[0], "\ufffd"), text)


def level_of(head: bytes) -> int:
    """The level the beginning of a line names; 0 if none, so that it belongs to the line before."""
    found = _LEVEL.search(head)
    if found is None:
        return 0
    return _BITS.get(found[1] or found[2] or found[3], INFO)


def starts_of(part: LogPart, asked: int) -> NDArray[np.int64]:
    """Where lines begin in a part of a log that was asked for from `asked` on."""
    array = np.frombuffer(part.data, np.uint8)
    found = np.flatnonzero(array == 10) + (part.offset + 1)
    if len(array) and (part.offset == 0 or part.offset > asked):
        found = np.concatenate([[part.offset], found])
    return found[found < part.size].astype(np.int64)


def asked_from(chunk: int) -> int:
    """From where a chunk has to be read: the byte before it tells whether a line begins with it."""
    return max(0, chunk * CHUNK - 1)


def raw_lines(part: LogPart, chunk: int, chunks: int = 1) -> Iterator[tuple[int, bytes]]:
    """The lines that begin in some chunks, each with its place; the last may be cut where the part ends."""
    starts = starts_of(part, asked_from(chunk))
    low, high = chunk * CHUNK, (chunk + chunks) * CHUNK
    first, last = np.searchsorted(starts, (low, high))
    for place in range(int(first), int(last)):
        begin = int(starts[place])
        end = int(starts[place + 1]) if place + 1 < len(starts) else part.offset + len(part.data)
        yield begin, part.data[begin - part.offset : end - part.offset]


def count_lines(part: LogPart, chunk: int, chunks: int) -> NDArray[np.int64]:
    """How many lines begin in each of some chunks."""
    starts = starts_of(part, asked_from(chunk))
    places = starts // CHUNK - chunk
    return np.bincount(places[(places >= 0) & (places < chunks)], minlength=chunks)


def count_passing(
    part: LogPart, chunk: int, chunks: int, mask: int, carry: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """How many lines of the levels asked for begin in each chunk, and the level in force where each ends."""
    counts = np.zeros(chunks, np.int64)
    ends = np.zeros(chunks, np.uint8)
    at = chunk
    for offset, line in raw_lines(part, chunk, chunks):
        here = offset // CHUNK
        if here > at:
            ends[at - chunk : here - chunk] = carry
            at = here
        carry = level_of(line[:HEAD].rstrip(b"\n")) or carry
        if carry & mask:
            counts[here - chunk] += 1
    ends[at - chunk :] = carry
    return counts, ends


def rows_of(part: LogPart, chunk: int, mask: int, carry: int, shown: int = SHOWN) -> list[Row]:
    """The lines of a chunk as they are shown, `shown` characters of each."""
    found = []
    for offset, line in raw_lines(part, chunk):
        carry = level_of(line[:HEAD].rstrip(b"\n")) or carry
        if carry & mask:
            text = clean(line.removesuffix(b"\n"))
            found.append(Row(offset, text[:shown], carry, max(0, len(text) - shown)))
    return found


@dataclass(frozen=True)
class Needle:
    """What is searched for."""

    text: str
    case: bool = False

    def folded(self, text: str) -> str:
        """A text as it is compared."""
        return text if self.case else text.casefold()


def hits(part: LogPart, chunk: int, chunks: int, needle: Needle, mask: int, carries: list[int]) -> NDArray[np.int64]:
    """How many lines with the needle begin in each chunk; `carries` are the levels in force before each."""
    counts = np.zeros(chunks, np.int64)
    for number in range(chunks):
        counts[number] = len(hit_rows(part, chunk + number, needle, mask, carries[number], chunk))
    return counts


def hit_rows(part: LogPart, chunk: int, needle: Needle, mask: int, carry: int, asked: int | None = None) -> list[int]:
    """Which rows of a chunk hold the needle."""
    starts = starts_of(part, asked_from(chunk if asked is None else asked))
    first, last = (int(place) for place in np.searchsorted(starts, (chunk * CHUNK, (chunk + 1) * CHUNK)))
    if first >= last:
        return []
    end = int(starts[last]) if last < len(starts) else part.offset + len(part.data)
    data = part.data[int(starts[first]) - part.offset : end - part.offset]
    wanted, text = needle.folded(needle.text), needle.folded(clean(data))
    if not wanted or wanted not in text:
        return []
    lines = text.split("\n")
    if mask == ALL:
        return [place for place, line in enumerate(lines) if wanted in line]
    found, row = [], 0
    for line, raw in zip(lines, data.split(b"\n"), strict=False):
        carry = level_of(raw[:HEAD]) or carry
        if carry & mask:
            if wanted in line:
                found.append(row)
            row += 1
    return found
