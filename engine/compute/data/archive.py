"""Archives of rows, read without unpacking them onto the disk: no links, no way out, no bombs."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from engine.contract.errors import UserError

MOST_MEMBERS = 100_000
FREE_GROWTH = 256 << 20
MOST_GROWTH = 300
"""What unpacks to more than so many times its size, and to more than `FREE_GROWTH`, is no dataset."""
MOST_UNPACKED = 1 << 40
ENCRYPTED = 1


@dataclass(frozen=True)
class Stored:
    """Where a file lies among the bytes of a tar archive, once they are unpacked."""

    at: int
    size: int
    packing: str
    """Of the archive."""
    last: bool
    """No file lies behind it."""


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    packed: int
    stored: Stored | None = None
    """In a tar archive."""


class Growth:
    """Counts what comes out of a packed file, and ends it where that cannot be right."""

    def __init__(self, path: Path, packed: int) -> None:
        self._path = path
        self._limit = min(MOST_UNPACKED, max(FREE_GROWTH, MOST_GROWTH * packed))
        self.unpacked = 0

    def add(self, count: int) -> None:
        """So many bytes more; raises UserError for a bomb."""
        self.unpacked += count
        if self.unpacked > self._limit:
            raise UserError("data.bomb", path=str(self._path), limit=self._limit >> 20)


def members(path: Path) -> list[Member]:
    """The files in a zip archive; one that holds links, or names that lead elsewhere, is refused whole."""
    try:
        with zipfile.ZipFile(path) as packed:
            entries = packed.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise UserError("data.damaged", path=str(path), detail=f"{error}"[:200]) from error
    if len(entries) > MOST_MEMBERS:
        raise UserError("data.too_many_files", path=str(path), limit=MOST_MEMBERS)
    found = []
    for entry in entries:
        kind = (entry.external_attr >> 16) & 0o170000
        if not is_safe(entry.filename) or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError("data.archive_unsafe", path=str(path), member=entry.filename[:200])
        if entry.flag_bits & ENCRYPTED:
            raise UserError("data.archive_locked", path=str(path), member=entry.filename[:200])
        if not entry.is_dir():
            found.append(Member(entry.filename, entry.compress_size))
    twice = {member.name for member in found}
    if len(twice) != len(found):
        raise UserError("data.damaged", path=str(path), detail="Two of its files have the same name.")
    if sum(entry.file_size for entry in entries) > max(FREE_GROWTH, MOST_GROWTH * path.stat().st_size):
        raise UserError("data.bomb", path=str(path), limit=max(FREE_GROWTH, MOST_GROWTH * path.stat().st_size) >> 20)
    return found


def is_safe(name: str) -> bool:
    """A relative path that stays where it is put, on any system."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith(("/", "\\")) or "\0" in name or ".." in parts:
        return False
    return not PureWindowsPath(name).drive and ".." not in PureWindowsPath(name).parts
