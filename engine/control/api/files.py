"""Files of an attempt as they are handed out: ranges of the log, results, folders as zips."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from engine.contract import logfile

CHUNK = 1 << 20


def read_range(path: Path | None, offset: int, limit: int) -> tuple[bytes, int, int]:
    """Bytes of a log that may still grow (or not exist yet), where they begin, and the log's size."""
    return (b"", 0, 0) if path is None else logfile.read(path, offset, limit)


def inside(root: Path, relative: str) -> Path | None:
    """The file or folder, if it is there and, all links followed, still inside the root."""
    path = root / relative
    try:
        real, top = path.resolve(strict=True), root.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return real if real.is_relative_to(top) and real != top else None


def disposition(name: str) -> str:
    """The header that names a download, for any letters."""
    return f"attachment; filename*=utf-8''{quote(name)}"


class _Pipe:
    """A file to zipfile that only takes; what was written is fetched with `take`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


def zipped(folder: Path) -> Iterator[bytes]:
    """The regular files of a folder as a zip, in pieces; links are left out, nothing is compressed."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast(BinaryIO, pipe), "w", zipfile.ZIP_STORED) as archive:
        for path in _regular_files(folder):
            info = zipfile.ZipInfo.from_file(path, str(path.relative_to(folder)), strict_timestamps=False)
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


def _regular_files(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not (Path(top) / name).is_symlink())
        for name in sorted(names):
            path = Path(top) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
