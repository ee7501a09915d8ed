"""Rows of a dataset for a look of some seconds: those asked for by number, and a seeded sample of all.

A version of the library is reached anywhere at once. A file is read from its beginning for as long as there is time;
of lines that lie behind, some are read where the seed says.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.compute.data.formats import MAX_TRIED, BadRow, convert, detect_format
from engine.compute.data.rows import Example, Record
from engine.compute.data.sources import read_records
from engine.compute.data.store import is_version, open_version
from engine.contract.bundled import DATASETS, locate
from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.errors import Refused, UserError

SEED = 1
MOST_ROWS = 50_000
"""Rows of a sample at most."""
MOST_CHARACTERS = 64_000_000
"""Characters of a file's rows that are held at once."""
PATIENCE = 2
"""Times the time that is given: how much longer is looked for a row that was asked for."""
LONGEST_LINE = 4_000_000
Numbered = tuple[int, Example]


@dataclass(frozen=True)
class Extent:
    """How many rows there are, and whether that is known or guessed."""

    rows: int
    exact: bool


class RowSource:
    """The rows of one dataset, converted as a run would."""

    def __init__(self, source: DataSource, encoding: str = "auto") -> None:
        found = locate(source)
        if found is None:
            raise UserError("data.not_here", path=source.path, choices=", ".join(DATASETS))
        self.path: Path = found
        self.source, self._encoding = source, encoding
        self.version = open_version(found) if found.is_dir() and is_version(found) else None
        self._read = list[Record]()
        self._complete = False
        self._in_order = 0

    def rows(self, numbers: Sequence[int], seconds: float) -> list[Numbered]:
        """Rows by number, as far as they can be reached in the time; refuses a number past the last."""
        if self.version is None:
            self._read_on(seconds, at_least=max(numbers, default=0) + 1)
        have = len(self.version) if self.version is not None else self._in_order
        for number in numbers:
            if number >= have and self.version is None and not self._complete:
                raise UserError("data.row_far", row=number + 1, rows=have)
            if number >= have:
                raise UserError("data.row_unknown", row=number + 1, rows=have)
        return [(number, self._asked_for(number)) for number in numbers]

    def sample(self, seconds: float, most: int = MOST_ROWS, seed: int = SEED) -> Iterator[Numbered]:
        """Rows in an order that only the seed makes, each once; those that cannot be used are passed over."""
        if self.version is None:
            self._read_on(seconds)
        have = len(self.version) if self.version is not None else len(self._read)
        for number in random.Random(seed).sample(range(have), min(have, most)):
            try:
                yield number, self._converted(self._record(number))
            except BadRow:
                continue

    @property
    def extent(self) -> Extent:
        """How many rows there are, as far as it is known by now."""
        if self.version is not None:
            return Extent(len(self.version), True)
        if self._complete or not self._read:
            return Extent(len(self._read), self._complete)
        return Extent(max(len(self._read), self._guessed), False)

    @cached_property
    def form(self) -> str:
        """The format: as given, as the version says, or as its first rows tell."""
        if self.source.format != "auto":
            return self.source.format
        if self.version is not None:
            return self.version.manifest.format
        if not self._read:
            self._read_on(1.0, at_least=1)
        if not self._read:
            raise UserError("data.no_rows", path=str(self.path))
        reasons = detect_format(self._read[:MAX_TRIED], self.mapping)
        if not reasons:
            columns = ", ".join(str(name)[:40] for name in list(self._read[0].content)[:12])
            raise UserError("data.unknown_format", columns=columns)
        return reasons[0].format

    @cached_property
    def mapping(self) -> Mapping:
        """Which columns play which part."""
        own = self.version.manifest.mapping if self.version is not None else Mapping()
        return own if self.source.mapping == Mapping() else self.source.mapping

    def first(self, seconds: float) -> Example | None:
        """One that can be used, whichever."""
        return next((example for _, example in self.sample(seconds)), None)

    def _asked_for(self, number: int) -> Example:
        record = self._record(number)
        try:
            return self._converted(record)
        except BadRow as error:
            problems = [error.problem(record.line)]
            raise Refused("data.refused", problems=problems, count=1, path=str(self.path), shown=1) from error

    def _record(self, number: int) -> Record:
        return self.version.record(number) if self.version is not None else self._read[number]

    def _converted(self, record: Record) -> Example:
        return convert(record, self.form, 0, self.mapping)

    def _read_on(self, seconds: float, at_least: int = 1) -> None:
        """Read the file once: at least so many rows, and on for as long as there is time and room."""
        if self._read or self._complete:
            return
        until, held = time.monotonic() + seconds, 0
        for found in read_records(self.path, self._encoding, hurry=seconds):
            if isinstance(found, Record):
                self._read.append(found)
                held += len(str(found.content)) if len(self._read) % 16 == 1 else 0
            enough = len(self._read) >= at_least or time.monotonic() > until + PATIENCE * seconds
            if enough and (time.monotonic() > until or 16 * held > MOST_CHARACTERS or len(self._read) >= 4 * MOST_ROWS):
                self._in_order = len(self._read)
                self._read += self._scattered(until + seconds) if self._read else []
                break
        else:
            self._complete, self._in_order = True, len(self._read)
        if not self._read:
            raise UserError("data.no_rows", path=str(self.path))

    @cached_property
    def _guessed(self) -> int:
        """Rows there may be, by the size of those that were read."""
        if not self.path.is_file() or not self._read:
            return len(self._read)
        some = self._read[:1000]
        mean = sum(len(json.dumps(record.content, ensure_ascii=False).encode()) + 1 for record in some) / len(some)
        return int(self.path.stat().st_size / max(1.0, mean))

    def _scattered(self, until: float) -> list[Record]:
        """Rows from all over a file of lines, behind those that were read in order."""
        if self.path.suffix.lower() not in (".jsonl", ".ndjson") or self._encoding not in ("auto", "utf-8"):
            return []
        found, chance, size = list[Record](), random.Random(SEED), self.path.stat().st_size
        with self.path.open("rb") as file:
            while len(found) < min(len(self._read), 2_000) and time.monotonic() < until:
                file.seek(chance.randrange(size))
                file.readline(LONGEST_LINE)
                try:
                    content = json.loads(file.readline(LONGEST_LINE))
                except ValueError:
                    continue
                if isinstance(content, dict):
                    found.append(Record(0, content))
        return found
