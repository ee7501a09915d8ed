"""A version of a dataset as it lies in its folder, read through memory maps: any row without the rows before it."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from engine.contract.datasets import MANIFEST, PROBLEMS_FILE, Manifest
from engine.contract.errors import NotFound, UserError

HASH_BYTES = 16
OPEN = 8
"""So many versions stay open."""


@dataclass(frozen=True)
class _Shard:
    file: BinaryIO
    """Kept open to look at its size: the file may have another name by now, or none."""
    bytes: int
    reader: Any


class Folder:
    """One version. Made once and used by several threads: nothing of it changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._shards: list[_Shard] = []
        self._batches: list[tuple[int, int]] = []
        """Shard and place in it, of each batch."""
        self._begins: list[int] = []
        """The first row of each batch."""
        self.rows = 0
        with damaged_is_said(folder):
            for shard in self.manifest.shards:
                self._open(folder / shard.name, shard.bytes)
        if self.rows != self.manifest.rows:
            detail = f"{MANIFEST} speaks of {self.manifest.rows} rows, and {self.rows} are there."
            raise UserError("dataset.damaged", folder=str(folder), detail=detail)
        self._problems: Any = None
        self._lock = threading.Lock()

    @property
    def batches(self) -> int:
        """How many pieces it is in."""
        return len(self._batches)

    def batch(self, number: int) -> Any:
        """One piece, as a record batch over the file's own bytes."""
        at, place = self._batches[number]
        shard = self._shards[at]
        if os.fstat(shard.file.fileno()).st_size < shard.bytes:  # a map over bytes that are gone ends the process
            raise UserError("dataset.damaged", folder=str(self.folder), detail=f"{shard.file.name} was cut short.")
        return shard.reader.get_batch(place)

    def begin_of(self, number: int) -> int:
        """The first row of a piece."""
        return self._begins[number]

    def pieces(self, begin: int, end: int, columns: list[str]) -> Iterator[tuple[int, Any]]:
        """Rows `begin` to `end`, piece by piece, each with the number of its first row."""
        end = min(end, self.rows)
        if begin >= end:
            return
        number = bisect_right(self._begins, begin) - 1
        while number < self.batches and self._begins[number] < end:
            first = self._begins[number]
            batch = self.batch(number).select(columns)
            low, high = max(0, begin - first), min(batch.num_rows, end - first)
            yield first + low, batch.slice(low, high - low)
            number += 1

    def table(self, rows: list[int], columns: list[str]) -> Any:
        """These rows, in this order."""
        if not rows:
            return pa.table({name: [] for name in columns})
        found: dict[int, tuple[Any, int]] = {}
        opened: dict[int, Any] = {}
        for row in rows:
            number = bisect_right(self._begins, row) - 1
            if number not in opened:
                opened[number] = self.batch(number).select(columns)
            found[row] = (opened[number], row - self._begins[number])
        return pa.Table.from_batches([found[row][0].slice(found[row][1], 1) for row in rows])

    def hashes(self) -> np.ndarray[Any, Any]:
        """Fingerprints of all rows, as two numbers each."""
        parts = [_hashes(self.batch(number).column("hash")) for number in range(self.batches)]
        return np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)

    def numbers(self, column: str) -> np.ndarray[Any, Any]:
        """A column of numbers of all rows."""
        parts = [self.batch(number).column(column).to_numpy(zero_copy_only=False) for number in range(self.batches)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    @property
    def problems(self) -> Any:
        """The table of what is wrong with rows."""
        with self._lock:
            if self._problems is None:
                path = self.folder / PROBLEMS_FILE
                with damaged_is_said(self.folder):
                    if not path.is_file():
                        raise UserError(
                            "dataset.damaged", folder=str(self.folder), detail=f"{PROBLEMS_FILE} is missing."
                        )
                    self._problems = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            return self._problems

    def _open(self, path: Path, size: int) -> None:
        if path.stat().st_size != size:
            detail = f"{path.name} has {path.stat().st_size} bytes, not {size}."
            raise UserError("dataset.damaged", folder=str(self.folder), detail=detail)
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        for place in range(reader.num_record_batches):
            rows = reader.get_batch(place).num_rows
            if rows:
                self._batches.append((len(self._shards), place))
                self._begins.append(self.rows)
                self.rows += rows
        self._shards.append(_Shard(path.open("rb"), size, reader))


class Opened:
    """The versions that were read last stay open, so that a page of rows is found at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Path, tuple[tuple[int, int], Folder]] = OrderedDict()

    def get(self, folder: Path) -> Folder:
        """Open it, or the one that is open. One that is gone or was made again is not kept."""
        try:
            found = (folder / MANIFEST).stat()
        except OSError:
            self.forget(folder)
            raise NotFound("dataset.gone", folder=str(folder), version=folder.name[:12], dataset="") from None
        stamp = (found.st_ino, found.st_mtime_ns)
        with self._lock:
            known = self._known.get(folder)
            if known is not None and known[0] == stamp:
                self._known.move_to_end(folder)
                return known[1]
        made = Folder(folder)
        with self._lock:
            self._known[folder] = (stamp, made)
            while len(self._known) > OPEN:
                self._known.popitem(last=False)
        return made

    def forget(self, folder: Path) -> None:
        """It goes: whoever reads it still reads on, the files stay until then."""
        with self._lock:
            self._known.pop(folder, None)


class damaged_is_said:  # noqa: N801 - reads as a sentence where it is used
    """What Arrow or the system say about files that are not as they should be, as one error for people."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError | KeyError | ValueError) and not isinstance(error, UserError):
            detail = str(error)[:300]
            raise UserError("dataset.damaged", folder=str(self._folder), detail=detail) from error


def read_manifest(folder: Path) -> Manifest:
    """What a version says of itself."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise NotFound("dataset.gone", folder=str(folder), version=folder.name[:12], dataset="") from None
    except (OSError, ValidationError, ValueError) as error:
        raise UserError("dataset.damaged", folder=str(folder), detail=str(error)[:300]) from error


def is_there(folder: Path) -> bool:
    """Whether a version lies in this folder."""
    return (folder / MANIFEST).is_file()


def _hashes(column: Any) -> np.ndarray[Any, Any]:
    """Fingerprints as pairs of numbers, over the file's own bytes where their form allows it."""
    if not pa.types.is_fixed_size_binary(column.type):
        column = pc.cast(column, pa.binary(HASH_BYTES))
    data = np.frombuffer(column.buffers()[1], np.uint8)
    data = data[column.offset * HASH_BYTES : (column.offset + len(column)) * HASH_BYTES]
    return np.frombuffer(data.tobytes(), np.uint64).reshape(-1, 2)
