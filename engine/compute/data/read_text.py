"""Plain text: a paragraph is a row, parted from the next by blank lines."""

from __future__ import annotations

from collections.abc import Iterator

from engine.compute.data.encodings import MAX_LINE_BYTES, TextLines, too_long
from engine.compute.data.rows import Record
from engine.contract.errors import Problem


def read_text(lines: TextLines) -> Iterator[Record | Problem]:
    """Paragraphs, each at the line it begins at; one that is too long, or holds a bad line, is refused."""
    begin, size, parts = 0, 0, list[str]()
    wrong: Problem | None = None
    for line, text in lines:
        if isinstance(text, str) and not text.strip():
            if wrong is not None or parts:
                yield wrong or _row(begin, parts)
            wrong, parts = None, []
            continue
        if not parts and wrong is None:
            begin, size = line, 0
        if isinstance(text, Problem):
            wrong, parts = wrong or text, []
        elif wrong is None:
            size += len(text)
            parts.append(text)
            if size > MAX_LINE_BYTES:
                wrong, parts = too_long(begin), []
    if wrong is not None or parts:
        yield wrong or _row(begin, parts)


def _row(begin: int, parts: list[str]) -> Record:
    return Record(begin, {"text": "".join(parts).strip("\r\n")})
