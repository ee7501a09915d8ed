"""Files of an attempt as they are handed out: ranges of the log, names, fingerprints, where an answer begins."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from engine.contract import logfile
from engine.control.api.archive import CHUNK, file_pieces, regular_files


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


def first_byte(wanted: str | None, condition: str | None, etag: str, size: int) -> int:
    """Where an answer begins: a client that has a part of just this content asks for the rest (`bytes=N-`)."""
    found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
    if found is None or (condition is not None and condition != etag):
        return 0
    start = int(found[1])
    return start if start < size else 0


def fingerprint(path: Path) -> str:
    """Sha256 of a file; of a folder, that of its sorted `name sha256` lines."""
    if path.is_dir():
        lines = sorted(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in regular_files(path))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return fingerprint_of(file_pieces(path, 0, path.stat().st_size))


def fingerprint_of(pieces: Iterable[bytes]) -> str:
    """Sha256 of content that comes in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def log_pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    """A log between two offsets, over all the files it is cut into; what went meanwhile is an error."""
    while start < end:
        data, at, _ = logfile.read(path, start, min(CHUNK, end - start))
        if at != start or not data:
            raise OSError(f"{path} lost its oldest part while it was sent")
        start += len(data)
        yield data
