"""CSV and its kin: the character between columns is found, values may hold line ends, a bad row does not end it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from engine.compute.data.encodings import MAX_LINE_BYTES, TextLines
from engine.compute.data.rows import Record
from engine.contract.errors import Problem

Found = Record | Problem
DELIMITERS = ",;\t|"
MOST_COLUMNS = 100_000
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


class _Lines:
    """Lines as text for the parser; remembers which of them are no text."""

    def __init__(self, lines: TextLines) -> None:
        self._lines = lines
        self.wrong: dict[int, Problem] = {}
        self.too_long: Problem | None = None

    def __iter__(self) -> Iterator[str]:
        for line, raw in self._lines.raw():
            if isinstance(raw, Problem):  # whether a quote is open behind it cannot be known
                self.too_long = raw
                return
            text = self._lines.decode(raw, line)
            if isinstance(text, Problem):
                self.wrong[line] = text
                text = raw.decode("utf-8", "replace")  # its quotes still count
            yield text

    def between(self, first: int, last: int) -> Problem | None:
        """What is wrong with one of these lines."""
        if not self.wrong:
            return None
        found = [self.wrong.pop(line) for line in sorted(self.wrong) if first <= line <= last]
        return found[0] if found else None


def read_csv(lines: TextLines, kind: str) -> Iterator[Found]:
    """The rows below the header."""
    csv.field_size_limit(MAX_LINE_BYTES)
    given = _Lines(lines)
    reader = csv.reader(iter(given), delimiter=_delimiter(lines, kind), strict=True)
    line, names = 0, list[str]()
    try:
        for row in reader:
            first, line = line + 1, reader.line_num
            wrong = given.between(first, line)
            if not row and wrong is None:
                continue
            if not names:
                names = row
                if wrong or (wrong := _header(names)):
                    yield wrong
                    return
            else:
                yield wrong or _record(names, row, line)
    except csv.Error as error:
        if given.too_long is None:
            yield given.between(line + 1, 1 << 62) or Problem(
                code="data.bad_csv", line=line + 1, params={"detail": str(error)}
            )
    if given.too_long is not None:
        yield given.too_long


def _delimiter(lines: TextLines, kind: str) -> str:
    """The commonest of the usual ones in the header; a comma where there is none."""
    if kind == ".tsv":
        return "\t"
    header = lines.head.decode("utf-8", "replace").lstrip("\r\n").partition("\n")[0]
    counts = Counter(_QUOTED.sub("", header))
    return max(DELIMITERS, key=lambda letter: (counts[letter], letter == ","))


def _header(names: list[str]) -> Problem | None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        return Problem(code="data.column_twice", line=1, field=twice[0], params={"column": twice[0]})
    if len(names) > MOST_COLUMNS:
        return Problem(code="data.csv_columns", line=1, params={"expected": MOST_COLUMNS, "found": len(names)})
    return None


def _record(names: list[str], row: list[str], line: int) -> Found:
    if len(row) != len(names):
        return Problem(code="data.csv_columns", line=line, params={"expected": len(names), "found": len(row)})
    content: dict[str, Any] = dict(zip(names, row, strict=True))
    return Record(line, content)
