"""The bytes of a file of rows, unpacked on the way, in memory that does not grow with the file."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine.compute.data.archive import Growth
from engine.compute.data.files import DataFile, stamp
from engine.compute.data.tar import tar_member
from engine.compute.data.unpacking import PIECE, CutOff, Damaged, Unpacking, unpacked
from engine.contract.errors import UserError


class _Bounded(io.RawIOBase):
    """The first bytes of a file, however it grows: one that grows quicker than it is read would never end."""

    def __init__(self, file: io.BufferedReader | io.FileIO, size: int) -> None:
        self._file, self._left, self._at, self._size = file, size, 0, size

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """As a zip archive needs it."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Within the bounds."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = min(self._size, max(0, begin + offset))
        self._file.seek(self._at)
        return self._at

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Up to the end as it was when the file was opened."""
        view = memoryview(buffer)[: max(0, self._size - self._at)]
        count = self._file.readinto(view) if len(view) else 0
        self._at += count or 0
        return count or 0


class Opened:
    """A file of rows that is being read."""

    def __init__(self, file: DataFile, stream: io.BufferedReader, done: Callable[[], int]) -> None:
        self.file, self.stream, self._done = file, stream, done
        self.encoding = "auto"
        self.reason = ""
        """Code of the messages: why this encoding."""

    @property
    def path(self) -> Path:
        """For a message."""
        return self.file.path

    @property
    def done(self) -> int:
        """Bytes of the file on the disk that were read."""
        return self._done()


@contextmanager
def opened(file: DataFile) -> Iterator[Opened]:
    """The file's bytes; it must be the same file from the first byte to the last."""
    before = stamp(file.path)
    with ExitStack() as stack:
        plain = stack.enter_context(file.path.open("rb", buffering=0))
        raw = _Bounded(plain, os.fstat(plain.fileno()).st_size)
        growth = Growth(file.path, before.st_size if file.stored else file.bytes or before.st_size)
        done = raw.tell
        if file.stored is not None:
            stream, done = _tar_member(stack, file, growth)
        elif file.member:
            stream, done = _member(stack, raw, file, growth)
        else:
            stream = raw
        if file.packing:
            stream = Unpacking(unpacked(stack, stream, file.packing), growth)
        yield Opened(file, io.BufferedReader(stream, PIECE), done)
    after = stamp(file.path)
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        raise UserError("data.changed", path=str(file.path), before=before.st_size, after=after.st_size)


def _member(
    stack: ExitStack, raw: io.RawIOBase, file: DataFile, growth: Growth
) -> tuple[io.RawIOBase, Callable[[], int]]:
    """A file of a zip archive, and how much of it was read."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(io.BufferedReader(raw, PIECE)))
        inner: Any = stack.enter_context(archive.open(file.member))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError, ValueError, EOFError) as error:
        raise UserError("data.damaged", path=str(file.path), detail=str(error)[:200]) from error
    size = max(1, archive.getinfo(file.member).file_size)
    begun = growth.unpacked
    return Unpacking(inner.read1, growth), lambda: min(file.bytes, file.bytes * (growth.unpacked - begun) // size)


def _tar_member(stack: ExitStack, file: DataFile, growth: Growth) -> tuple[io.RawIOBase, Callable[[], int]]:
    """A file of a tar archive, and how much of it was read."""
    assert file.stored is not None
    size, begun = max(1, file.stored.size), growth.unpacked
    try:
        inner = io.BufferedReader(stack.enter_context(tar_member(file.path, file.stored)), PIECE)
    except (CutOff, Damaged) as error:
        raise UserError("data.damaged", path=str(file.path), detail=str(error)[:200]) from error
    read = Unpacking(inner.read1, growth)
    return read, lambda: min(file.bytes, file.bytes * (growth.unpacked - begun) // size)


@contextmanager
def on_disk(source: Opened) -> Iterator[Path]:
    """The bytes as a file that can be read at any place; a packed one is unpacked aside."""
    if not source.file.member and not source.file.packing:
        yield source.path
        return
    with tempfile.NamedTemporaryFile(prefix="forge-rows-", suffix=source.file.kind) as aside:
        shutil.copyfileobj(source.stream, aside, PIECE)
        aside.flush()
        yield Path(aside.name)
