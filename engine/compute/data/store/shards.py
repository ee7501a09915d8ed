"""Arrow files that are there only when they are whole: written aside, synced, renamed, with their sha256."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.contract.datasets import Shard
from engine.contract.durable import sync_folder


class _Hashed:
    """A file that knows the sha256 of what was written to it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.sha256, self.bytes, self.closed = hashlib.sha256(), 0, False

    def write(self, data: Any) -> int:
        """Append."""
        view = memoryview(data).cast("B")
        self._file.write(view)
        self.sha256.update(view)
        self.bytes += len(view)
        return len(view)

    def flush(self) -> None:
        """To the system."""
        self._file.flush()

    def close(self) -> None:
        """To the disk."""
        if not self.closed:
            self.closed = True
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())

    def tell(self) -> int:
        """How much there is."""
        return self.bytes

    def readable(self) -> bool:
        """Never."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Never."""
        return False


class ArrowFile:
    """One file in the making; `finish` puts it in its place."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._aside = path.with_name(f".{path.name}.part")
        self._sink = _Hashed(self._aside)
        self._writer = pa.ipc.new_file(pa.PythonFile(self._sink, "w"), schema)
        self.rows = 0

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """One batch, column by column."""
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self.write_batch(pa.record_batch(arrays, schema=self._schema))

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """One batch as it is."""
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def finish(self) -> Shard:
        """On the disk, under its name."""
        self._writer.close()
        self._sink.close()
        os.replace(self._aside, self._path)
        sync_folder(self._path.parent)
        return Shard(name=self._path.name, rows=self.rows, bytes=self._sink.bytes, sha256=self._sink.sha256.hexdigest())

    def drop(self) -> None:
        """It is not wanted."""
        with contextlib.suppress(OSError):  # a full disk: what is not wanted need not be written either
            self._sink.close()
        self._aside.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
