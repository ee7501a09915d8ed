"""The rows of a source by number: held in memory, or read from a version of the library when a batch wants them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from engine.compute.data.formats import BadRow, convert
from engine.compute.data.rows import Example, with_system
from engine.compute.data.store import Version
from engine.contract.data_format import Mapping
from engine.contract.errors import UserError

LET_GO = 1000
"""After so many rows the pages they stand on are let go: a map of a file counts as memory of whoever read it."""
Digests = np.ndarray
"""A fingerprint of each row's group, uint64."""


@dataclass(frozen=True, slots=True)
class RowId:
    """A row wherever it is met again: the version it is of (empty: of a plain file), and the fingerprint of the row."""

    version: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row stands: the dataset by its place in the config, and line or row number there, from 1."""

    source: int
    line: int
    fingerprint: bytes


class RowSet(ABC):
    """Rows of one source; what is known of all of them at once are numbers only."""

    lengths: np.ndarray
    """Characters of each row."""
    groups: Digests | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def examples(self, places: Sequence[int]) -> list[Example]:
        """Some rows, by their places in this set."""

    @abstractmethod
    def take(self, places: np.ndarray) -> Self:
        """A set of some of these rows."""

    @abstractmethod
    def with_system(self, system: str | None) -> Self:
        """The same rows with a system prompt before every conversation that has none."""

    @abstractmethod
    def row_id(self, place: int) -> RowId:
        """Which row it is."""

    @abstractmethod
    def line(self, place: int) -> int:
        """Its line in a file; of a version, the number of the row from 1."""

    @abstractmethod
    def typical(self) -> Sequence[Example]:
        """The rows a stage must look at to know whether it can learn from all: one where all are alike."""

    @abstractmethod
    def describe(self, weight: float) -> Iterator[bytes]:
        """What makes these rows these rows, piece by piece, for the fingerprint of a run's data."""

    @abstractmethod
    def _identities(self) -> Iterator[bytes]:
        """Of each row in order, the same for the same content."""

    def identities(self) -> Iterator[bytes]:
        """What decides on which side of a split a row falls: its group, or else its content."""
        return (group.tobytes() for group in self.groups) if self.groups is not None else self._identities()

    def all(self) -> list[Example]:
        """Every row, in memory."""
        return self.examples(range(len(self)))

    def _groups_of(self, places: np.ndarray) -> Digests | None:
        return None if self.groups is None else self.groups[places]


class HeldRows(RowSet):
    """Rows of a plain file."""

    def __init__(self, examples: Sequence[Example], groups: Digests | None = None) -> None:
        self._examples, self.groups = list(examples), groups
        self.lengths = np.array([example.characters for example in self._examples], dtype=np.int64)

    def examples(self, places: Sequence[int]) -> list[Example]:
        """Some rows."""
        return [self._examples[place] for place in places]

    def take(self, places: np.ndarray) -> HeldRows:
        """Some of them."""
        return HeldRows(self.examples(places.tolist()), self._groups_of(places))

    def with_system(self, system: str | None) -> HeldRows:
        """With a system prompt."""
        return HeldRows(with_system(self._examples, system), self.groups) if system else self

    def row_id(self, place: int) -> RowId:
        """By its content."""
        return RowId("", self._examples[place].fingerprint.hex())

    def line(self, place: int) -> int:
        """Of the file."""
        return self._examples[place].line

    def typical(self) -> Sequence[Example]:
        """A file may mix texts and conversations."""
        return self._examples

    def describe(self, weight: float) -> Iterator[bytes]:
        """Every row."""
        yield f"source {len(self)} {weight!r}\n".encode()
        yield from self._identities()

    def _identities(self) -> Iterator[bytes]:
        return (example.fingerprint for example in self._examples)


class StoredRows(RowSet):
    """Rows of a version of the library: read through its memory map and converted when they are wanted.

    Asking for the lengths opens every file of the version, so a version that is deleted stays readable to its end.
    """

    def __init__(
        self,
        version: Version,
        form: str,
        mapping: Mapping,
        source: int = 0,
        numbers: np.ndarray | None = None,
        system: str | None = None,
        groups: Digests | None = None,
    ) -> None:
        self.version, self._how, self._source = version, (form, mapping), source
        self.numbers = np.arange(len(version), dtype=np.int32) if numbers is None else numbers
        self.lengths = version.characters[self.numbers]
        self._system, self.groups = system, groups
        self._read_rows = 0

    def examples(self, places: Sequence[int]) -> list[Example]:
        """Some rows, read now."""
        found = [self._example(int(self.numbers[place])) for place in places]
        self._read_rows += len(found)
        if self._read_rows >= LET_GO:
            self._read_rows = 0
            self.version.let_go()
        return with_system(found, self._system)

    def _example(self, number: int) -> Example:
        record = self.version.record(number)
        try:
            return convert(record, self._how[0], self._source, self._how[1])
        except BadRow as error:  # checked when it was imported, by another version of this program
            problem = error.problem(record.line)
            version = self.version.manifest.hash[:12]
            raise UserError(
                "data.row_unusable", row=number + 1, version=version, form=self._how[0], detail=problem.code
            ) from error

    def take(self, places: np.ndarray) -> StoredRows:
        """Some of them."""
        return self._like(self.numbers[places], self._system, self._groups_of(places))

    def with_system(self, system: str | None) -> StoredRows:
        """With a system prompt."""
        return self._like(self.numbers, system, self.groups)

    def with_groups(self, groups: Digests) -> StoredRows:
        """Every row in a group."""
        return self._like(self.numbers, self._system, groups)

    def _like(self, numbers: np.ndarray, system: str | None, groups: Digests | None) -> StoredRows:
        return StoredRows(self.version, *self._how, self._source, numbers, system, groups)

    def row_id(self, place: int) -> RowId:
        """By version and fingerprint."""
        return RowId(self.version.manifest.hash, self.version.hash(int(self.numbers[place])).hex())

    def line(self, place: int) -> int:
        """The row's number."""
        return int(self.numbers[place]) + 1

    def typical(self) -> Sequence[Example]:
        """All rows of a version are of one format."""
        return self.examples(range(min(1, len(self))))

    def describe(self, weight: float) -> Iterator[bytes]:
        """The version stands for its rows."""
        form, mapping = self._how
        how = f"{form} {mapping.model_dump_json()} {self._system!r}"
        yield f"version {self.version.manifest.hash} {how} {len(self)} {weight!r}\n".encode()
        yield self.numbers.astype("<i4").tobytes()

    def _identities(self) -> Iterator[bytes]:
        begin = 0
        for piece in self.version.hashes():
            hashes = np.frombuffer(piece, dtype="V16")
            first, last = np.searchsorted(self.numbers, [begin, begin + len(hashes)])
            for number in self.numbers[first:last] - begin:
                yield hashes[number].tobytes()
            begin += len(hashes)
        self.version.let_go()


class JoinedRows:
    """Several sets, one behind the other."""

    def __init__(self, sets: Sequence[RowSet]) -> None:
        self.sets = list(sets)
        self._begins = np.cumsum([0, *map(len, self.sets)])
        parts = [rows.lengths for rows in self.sets]
        self.lengths = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._begins[-1])

    def examples(self, places: Sequence[int]) -> list[Example]:
        """Some rows, in the order asked for."""
        made: list[Any] = [None] * len(places)
        asked = np.asarray(places, dtype=np.int64)
        owners = np.searchsorted(self._begins, asked, side="right") - 1
        for owner in np.unique(owners).tolist():
            at = np.flatnonzero(owners == owner)
            found = self.sets[owner].examples((asked[at] - self._begins[owner]).tolist())
            for place, example in zip(at.tolist(), found, strict=True):
                made[place] = example
        return made

    def origin(self, place: int) -> Origin:
        """Where it stands."""
        owner = int(np.searchsorted(self._begins, place, side="right")) - 1
        within = place - int(self._begins[owner])
        rows = self.sets[owner]
        return Origin(owner, rows.line(within), bytes.fromhex(rows.row_id(within).fingerprint))

    def row_id(self, place: int) -> RowId:
        """Which row it is."""
        owner = int(np.searchsorted(self._begins, place, side="right")) - 1
        return self.sets[owner].row_id(place - int(self._begins[owner]))


def as_rows(rows: RowSet | Sequence[Example]) -> RowSet:
    """Examples as a set of rows."""
    return rows if isinstance(rows, RowSet) else HeldRows(rows)


def group_digest(value: Any) -> int:
    """A number for what stands in the column of the group."""
    return int.from_bytes(hashlib.blake2b(str(value).encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def digests_of(values: Iterable[Any], count: int) -> Digests:
    """The groups of so many rows."""
    return np.fromiter((group_digest(value) for value in values), dtype=np.uint64, count=count)
