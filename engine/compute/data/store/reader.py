"""Reading a version: any row at once, by memory map, whatever its size."""

from __future__ import annotations

import json
import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from engine.compute.data.rows import Record
from engine.contract.datasets import MANIFEST, PROBLEMS_FILE, Manifest, RowProblem, Shard
from engine.contract.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


def is_version(folder: Path) -> bool:
    """A folder that holds a version, wherever it lies."""
    try:
        return (folder / MANIFEST).is_file()
    except (OSError, ValueError):  # a name that is too long, a zero byte: whoever reads it says so
        return False


def open_version(folder: Path) -> Version:
    """The version in this folder; raises UserError where it is not whole."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise UserError("data.version_missing", path=str(folder)) from None
    except (OSError, ValidationError) as error:
        raise UserError("data.version_damaged", path=str(folder), detail=str(error)[:200]) from error
    return Version(folder, manifest)


class _Rows:
    """One file of rows, mapped."""

    def __init__(self, path: Path, rows: int) -> None:
        import pyarrow as pa  # starts a thread of its own, and a warm worker must have none

        try:
            with path.open("rb") as file:  # it never changes: nothing can pull it away
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.file = pa.ipc.open_file(pa.py_buffer(self._map))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError("data.version_damaged", path=str(path), detail=str(error)[:200]) from error
        self.begins = [0]
        for number in range(self.file.num_record_batches):
            self.begins.append(self.begins[-1] + self.file.get_batch(number).num_rows)
        if self.begins[-1] != rows:
            detail = f"{self.begins[-1]} rows in place of {rows}."
            raise UserError("data.version_damaged", path=str(path), detail=detail)

    def batches(self, begin: int, end: int) -> Iterator[pa.RecordBatch]:
        """What lies between two rows of this file."""
        number = bisect_right(self.begins, begin) - 1
        while begin < end and number < self.file.num_record_batches:
            first, last = self.begins[number], min(end, self.begins[number + 1])
            yield self.file.get_batch(number).slice(begin - first, last - begin)
            begin, number = last, number + 1

    def let_go(self) -> None:
        """Take the pages that were read off this process's account; the system still has them at hand."""
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)


class Rows:
    """The rows of some shards by number."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.folder, self._shards = folder, list(shards)
        self._begins = [0]
        for shard in shards:
            self._begins.append(self._begins[-1] + shard.rows)
        self._open: dict[int, _Rows] = {}

    def __len__(self) -> int:
        return self._begins[-1]

    def _shard(self, number: int) -> _Rows:
        if number not in self._open:
            shard = self._shards[number]
            self._open[number] = _Rows(self.folder / shard.name, shard.rows)
        return self._open[number]

    def batches(self, begin: int = 0, end: int | None = None) -> Iterator[pa.RecordBatch]:
        """Rows `begin` to `end` as they lie in the files, a batch at a time."""
        end = len(self) if end is None else min(end, len(self))
        number = bisect_right(self._begins, begin) - 1
        while begin < end:
            first, last = self._begins[number], min(end, self._begins[number + 1])
            yield from self._shard(number).batches(begin - first, last - first)
            begin, number = last, number + 1

    def let_go(self) -> None:
        """Keep nothing of the files in this process's memory; they stay open, and are read again when wanted."""
        for shard in list(self._open.values()):
            shard.let_go()

    def record(self, row: int) -> Record:
        """One row."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        return next(self.records(row, row + 1))

    def records(self, begin: int = 0, end: int | None = None) -> Iterator[Record]:
        """Rows in their order."""
        for _, record in self.numbered(begin, end):
            yield record

    def numbered(self, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, Record]]:
        """Rows in their order, each with the number of the file it came from."""
        for batch in self.batches(begin, end):
            files, lines = batch.column("file").to_pylist(), batch.column("line").to_pylist()
            for file, line, content in zip(files, lines, batch.column("content"), strict=True):
                yield file, Record(line, json.loads(content.as_py()))

    def hash(self, row: int) -> bytes:
        """A row's fingerprint."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        found: bytes = next(self.batches(row, row + 1)).column("hash")[0].as_py()
        return found

    def hashes(self) -> Iterator[bytes]:
        """All fingerprints in their order, many joined in each piece."""
        for batch in self.batches():
            yield joined_hashes(batch)

    @cached_property
    def characters(self) -> np.ndarray:
        """How long each row is, in characters that are read."""
        parts = [batch.column("characters").to_numpy() for batch in self.batches()]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)


class Version(Rows):
    """A version: its rows, what it says of itself, and what is wrong with it."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest.shards)
        self.manifest = manifest

    def problems(self) -> Iterator[tuple[int, RowProblem]]:
        """Everything wrong, with the file's number, in the order it was found."""
        path = self.folder / PROBLEMS_FILE
        if not path.is_file():
            return
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            file = pa.ipc.open_file(source)
            for number in range(file.num_record_batches):
                for found in file.get_batch(number).to_pylist():
                    yield found["file"], as_problem(found, self.manifest.files)


def joined_hashes(batch: pa.RecordBatch) -> bytes:
    """The fingerprints of a batch, one behind the other."""
    column = batch.column("hash")
    width = column.type.byte_width
    data = column.buffers()[1]
    return data[column.offset * width : (column.offset + len(column)) * width].to_pybytes() if len(column) else b""


def as_problem(found: dict[str, Any], files: list[str]) -> RowProblem:
    """A line of `problems.arrow`."""
    file = found["file"]
    return RowProblem(
        kind=found["kind"],
        severity=found["severity"],
        row=None if found["row"] < 0 else found["row"],
        file=files[file] if 0 <= file < len(files) else "",
        line=found["line"],
        column=found["column"],
        code=found["code"],
        params=json.loads(found["params"]),
        excerpt=found["excerpt"],
        hash=found["hash"].hex() if found["hash"] else "",
    )
