"""Tar archives of rows, read from the front as they lie: nothing is written out, only plain files are taken.

A packed one can be read in one direction only. Where each file lies is found by going through it once; files that are
read in their order share one pass.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.compute.data.archive import MOST_MEMBERS, Growth, Member, Stored, is_safe
from engine.compute.data.unpacking import PIECE, CutOff, Damaged, Unpacking, unpacked
from engine.contract.errors import UserError

BLOCK = tarfile.BLOCKSIZE
MOST_HEADER = 1 << 20
"""Bytes of a name or of what else stands in a header; tarfile would hold as many as the header says."""
Version = tuple[Path, str, int, int, int]


class _TimeIsUp(Exception):
    """There was time for a part of the archive."""


class TarStream:
    """The bytes of an archive, unpacked, in one direction; as tarfile wants them where it reads headers."""

    def __init__(self, path: Path, packing: str) -> None:
        self._stack, self._at, self._ahead = ExitStack(), 0, b""
        self.file = self._stack.enter_context(path.open("rb", buffering=0))
        size = path.stat().st_size
        self._size = None if packing else size
        raw: io.RawIOBase = self.file
        if packing:
            raw = Unpacking(unpacked(self._stack, self.file, packing), Growth(path, size))
        self._stream = io.BufferedReader(raw, PIECE)
        self.until: float | None = None

    def close(self) -> None:
        """Let the file go."""
        self._stack.close()

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, to: int, _whence: int = 0) -> int:
        """Go on to a place; what lies between is read and forgotten where it is packed."""
        if to < self._at:
            raise Damaged("Its headers lead back.")
        if self._size is not None:
            if to > self._size:
                raise CutOff("It ends before its end.")
            self._ahead, self._at = b"", self._stream.seek(to)
        while self._at < to:
            if not self._take(min(PIECE, to - self._at)):
                raise CutOff("It ends before its end.")
            self.check_time()
        return self._at

    def check_time(self) -> None:
        """End a look that takes too long."""
        if self.until is not None and time.monotonic() > self.until:
            raise _TimeIsUp

    def read(self, count: int) -> bytes:
        """For headers: a part of one that is longer than any should be is refused."""
        if count > MOST_HEADER:
            raise Damaged("A header in it is too long.")
        pieces, left = list[bytes](), count
        while left and (data := self._take(left)):
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)

    def readinto(self, view: memoryview) -> int:
        """The next bytes, some of them."""
        data = self._take(len(view))
        view[: len(data)] = data
        return len(data)

    def is_at_end(self) -> bool:
        """The block of zeros stands here that ends an archive."""
        while len(self._ahead) < BLOCK and (data := self._stream.read1(BLOCK - len(self._ahead))):
            self._ahead += data
        if len(self._ahead) < BLOCK:
            raise CutOff("It ends before its end.")
        return not self._ahead.strip(b"\0")

    def _take(self, count: int) -> bytes:
        data, self._ahead = self._ahead[:count], self._ahead[count:]
        data = data or self._stream.read1(count)
        self._at += len(data)
        return data


def tar_members(path: Path, packing: str, hurry: float | None = None) -> list[Member]:
    """The files in an archive, as they lie; with `hurry` those that can be found in so many seconds, one at least.

    One that holds links, devices, or names that lead elsewhere is refused whole.
    """
    return list(_members(_version(path, packing), hurry))


@lru_cache(maxsize=4)
def _members(version: Version, hurry: float | None) -> tuple[Member, ...]:
    path, packing, *_ = version
    stream, found = TarStream(path, packing), dict[str, tuple[int, int]]()
    try:
        _look_through(path, stream, found, None if hurry is None else time.monotonic() + hurry)
    except _TimeIsUp:
        pass
    except (CutOff, Damaged, tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise UserError("data.damaged", path=str(path), detail=f"{error}"[:200]) from error
    finally:
        done, unpacked_size = stream.file.tell(), max(1, stream.tell())
        stream.close()
    share = min(1.0, done / unpacked_size)
    last = max((at for at, _ in found.values()), default=0)
    return tuple(
        Member(name, round(size * share), Stored(at, size, packing, at == last)) for name, (at, size) in found.items()
    )


def _look_through(path: Path, stream: TarStream, found: dict[str, tuple[int, int]], until: float | None) -> None:
    """Header by header; what is between them is passed over."""
    if stream.is_at_end():
        return
    archive: Any = tarfile.TarFile(fileobj=stream, mode="r")  # type: ignore[arg-type]
    for number in range(MOST_MEMBERS + 1):
        entry = archive.next()
        if entry is None:  # tarfile takes a damaged header for the end
            raise Damaged("A header in it is damaged.")
        if number == MOST_MEMBERS:
            raise UserError("data.too_many_files", path=str(path), limit=MOST_MEMBERS)
        plain = entry.isreg() and not entry.issparse()
        if not (plain or entry.isdir()) or not (is_safe(entry.name) or entry.name == "."):
            raise UserError("data.archive_unsafe", path=str(path), member=entry.name[:200])
        if plain:
            if entry.name in found:
                raise Damaged("Two of its files have the same name.")
            found[entry.name] = (entry.offset_data, entry.size)
            stream.until = until  # not before there is one file
        archive.members.clear()  # of each, tarfile would keep everything
        archive.pax_headers.clear()
        stream.check_time()
        stream.seek(archive.offset)
        if stream.is_at_end():
            return


class _Part(io.RawIOBase):
    """A file in an archive; not a byte more."""

    def __init__(self, stream: TarStream, size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        view = memoryview(buffer)[: self._left]
        count = self._stream.readinto(view) if len(view) else 0
        if len(view) and not count:
            raise CutOff("It ends before its end.")
        self._left -= count
        return count


_SPARE = dict[Version, TarStream]()
"""The archive that was read last, where reading goes on; one at most."""


@contextmanager
def tar_member(path: Path, stored: Stored) -> Iterator[io.RawIOBase]:
    """The bytes of one of its files."""
    version = _version(path, stored.packing)
    stream = _SPARE.pop(version, None)
    if stream is None or stream.tell() > stored.at:
        if stream is not None:
            stream.close()
        stream = TarStream(path, stored.packing)
    whole = False
    try:
        stream.seek(stored.at)
        yield _Part(stream, stored.size)
        whole = bool(stored.packing) and not stored.last and stream.tell() == stored.at + stored.size
    finally:
        for other in [*_SPARE]:
            _SPARE.pop(other).close()
        if whole:
            _SPARE[version] = stream
        else:
            stream.close()


def _version(path: Path, packing: str) -> Version:
    about = path.stat()
    return path, packing, about.st_ino, about.st_size, about.st_mtime_ns
