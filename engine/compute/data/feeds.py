"""Where an import's rows come from, so that it can go on in the middle: files, or another version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from engine.compute.data.files import find_files
from engine.compute.data.sources import Found, plain_errors, read_file
from engine.compute.data.store import Version, open_version
from engine.compute.data.store.reader import as_problem
from engine.compute.data.streams import Opened, opened
from engine.contract.datasets import PROBLEMS_FILE, RowProblem


@dataclass(frozen=True)
class Met:
    """A row or what is wrong with it, the file it is of, and what was remarked on it before."""

    file: int
    found: Found
    problems: tuple[RowProblem, ...] = ()


@dataclass
class Place:
    """Where reading stands: the next row is number `row` of file number `file`."""

    file: int = 0
    row: int = 0


class Feed(Protocol):
    """Rows in an order that never changes."""

    names: list[str]
    """Of its files."""
    left_out: list[str]
    bytes: int
    identity: str
    """Another one where the content may be another."""
    encodings: dict[str, tuple[str, str]]
    """File to encoding and the code of the reason."""

    @property
    def done(self) -> int:
        """Bytes read so far."""

    def rows(self, place: Place) -> Iterator[Met]:
        """Rows from a place on; the place moves on with them."""


class FileFeed:
    """The rows of a file, folder or archive."""

    def __init__(self, path: Path, name: str = "", encoding: str = "auto") -> None:
        self._path, self._encoding = path, encoding
        with plain_errors(path):
            found = find_files(path, name)
            self._files, self.left_out = found.files, found.left_out
            self.names = [file.name for file in found.files]
            self.bytes = found.bytes
            stamps = [(file.name, file.bytes, file.path.stat().st_mtime_ns) for file in found.files]
        self.identity = hashlib.sha256(repr(stamps).encode()).hexdigest()
        self.encodings: dict[str, tuple[str, str]] = {}
        self._before = 0
        self._source: Opened | None = None

    @property
    def done(self) -> int:
        """Bytes on the disk that were read."""
        return self._before + (self._source.done if self._source is not None else 0)

    def rows(self, place: Place) -> Iterator[Met]:
        """Rows from a place on."""
        with plain_errors(self._path):
            self._before = sum(file.bytes for file in self._files[: place.file])
            for number in range(place.file, len(self._files)):
                file, skip = self._files[number], place.row
                with opened(file) as source:
                    self._source = source
                    for found in read_file(source, self._encoding, skip):
                        place.row += 1
                        yield Met(number, found)
                    if source.reason:
                        self.encodings[file.name] = (source.encoding, source.reason)
                self._source = None
                self._before += file.bytes
                place.file, place.row = number + 1, 0


class VersionFeed:
    """The rows of a version, with what was found wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.version: Version = open_version(folder)
        manifest = self.version.manifest
        self.names, self.left_out, self.bytes = list(manifest.files), list[str](), manifest.bytes
        self.identity, self.encodings = manifest.hash, dict[str, tuple[str, str]]()
        self._done = 0
        self._problems = _Remarks(self.version)

    @property
    def done(self) -> int:
        """By the share of rows."""
        return self.bytes * self._done // max(1, len(self.version))

    def rows(self, place: Place) -> Iterator[Met]:
        """Rows from a place on; the lines they had at first stay theirs."""
        if place.file:
            return
        for number, (file, record) in enumerate(self.version.numbered(place.row), place.row):
            place.row = self._done = number + 1
            yield Met(file, record, self._problems.of(number))
        place.file, place.row = 1, 0


class _Remarks:
    """The problems of kept rows by row, mapped: only numbers are held."""

    def __init__(self, version: Version) -> None:
        self._files = version.manifest.files
        path = version.folder / PROBLEMS_FILE
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all() if path.is_file() else None
        rows = self._table.column("row").to_numpy() if self._table is not None else np.zeros(0, np.int64)
        self._order = np.argsort(rows, kind="stable")
        self._rows = rows[self._order]

    def of(self, row: int) -> tuple[RowProblem, ...]:
        """Of one row."""
        begin, end = np.searchsorted(self._rows, [row, row + 1])
        if begin == end or self._table is None:
            return ()
        found = self._table.take(self._order[begin:end]).to_pylist()
        return tuple(as_problem(entry, self._files) for entry in found)
