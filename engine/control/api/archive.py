"""A folder as a zip whose every byte is known before it is made, so that a broken download can go on in the middle.

Fixed order, nothing compressed, fixed times, zip64 everywhere: the length follows from names and sizes alone, and
only checksums need the content. Python's zipfile cannot begin in the middle, hence the four records by hand.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

CHUNK = 1 << 20
VERSION = 45
FLAGS = 0x0808
"""Checksums stand behind the content; names are UTF-8."""
DATE = 0x21
"""1 January 1980, the first day a zip knows."""
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
LOCAL, DESCRIPTOR, CENTRAL, ENDS = 30 + 20, 24, 46 + 28, 56 + 20 + 22


@dataclass(frozen=True)
class Entry:
    """A regular file of the folder, as it was when the archive was planned."""

    name: bytes
    path: Path
    size: int
    changed: int
    """Time of the last change in nanoseconds."""


class Archive:
    """The zip of a folder; links are left out."""

    def __init__(self, folder: Path) -> None:
        self.entries = [_entry(path, folder) for path in regular_files(folder)]
        names = sum(len(entry.name) for entry in self.entries)
        content = sum(entry.size for entry in self.entries)
        self.size = content + 2 * names + len(self.entries) * (LOCAL + DESCRIPTOR + CENTRAL) + ENDS

    def mark(self) -> str:
        """Changes when a file comes, goes or changes."""
        text = repr([(entry.name, entry.size, entry.changed) for entry in self.entries])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from a place on; what lies before it is not read."""
        at, offsets = 0, []
        for entry in self.entries:
            offsets.append(at)
            yield from _from(_local(entry), start - at)
            at += LOCAL + len(entry.name)
            yield from _content(entry, max(0, start - at))
            at += entry.size
            if start < at + DESCRIPTOR:
                yield from _from(struct.pack("<4sIQQ", b"PK\7\10", _crc(entry), entry.size, entry.size), start - at)
            at += DESCRIPTOR
        central = b"".join(_central(entry, offset) for entry, offset in zip(self.entries, offsets, strict=True))
        yield from _from(central + _ends(len(self.entries), len(central), at), start - at)


def regular_files(folder: Path) -> Iterator[Path]:
    """Every regular file under a folder, in an order that depends on the names only."""
    for top, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not (Path(top) / name).is_symlink())
        for name in sorted(names):
            path = Path(top) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def file_pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file between two places; a file that has become shorter is an error."""
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(CHUNK, end - start))
            if not chunk:
                raise OSError(f"{path} became shorter while it was sent")
            start += len(chunk)
            yield chunk


def _entry(path: Path, folder: Path) -> Entry:
    found = path.stat()
    name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
    return Entry(name, path, found.st_size, found.st_mtime_ns)


def _from(data: bytes, skip: int) -> Iterator[bytes]:
    if skip < len(data):
        yield data[max(0, skip) :]


def _content(entry: Entry, skip: int) -> Iterator[bytes]:
    if skip < entry.size:
        yield from file_pieces(entry.path, skip, entry.size)


@lru_cache(maxsize=4096)
def _crc(entry: Entry) -> int:
    """The checksum of a file's content; remembered for downloads that go on after a break."""
    crc = 0
    for piece in _content(entry, 0):
        crc = zlib.crc32(piece, crc)
    return crc


def _local(entry: Entry) -> bytes:
    head = struct.pack(
        "<4s5H3I2H", b"PK\3\4", VERSION, FLAGS, 0, 0, DATE, 0, FULL32, FULL32, len(entry.name), 20
    )  # fmt: skip
    return head + entry.name + struct.pack("<2H2Q", 1, 16, entry.size, entry.size)


def _central(entry: Entry, offset: int) -> bytes:
    head = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 3 << 8 | VERSION, VERSION, FLAGS, 0, 0, DATE, _crc(entry), FULL32, FULL32,
        len(entry.name), 28, 0, 0, 0, 0o100644 << 16, FULL32,
    )  # fmt: skip
    return head + entry.name + struct.pack("<2H3Q", 1, 24, entry.size, entry.size, offset)


def _ends(number: int, length: int, at: int) -> bytes:
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, VERSION, VERSION, 0, 0, number, number, length, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + length, 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, FULL16, FULL16, FULL32, FULL32, 0)
    return end64 + locator + end
