"""A worker's log as one long text, though its file is cut into pieces so that it cannot fill the disk.

`worker.log` grows; once it is long it is renamed to `worker.log.<end>`, where <end> is the offset at which the
piece ends in the whole text, and a new `worker.log` begins there. Offsets therefore stay valid for whoever reads
by them; the oldest pieces go.
"""

from __future__ import annotations

import os
from pathlib import Path

PIECE_BYTES = 64 << 20
KEPT_PIECES = 3


def pieces(path: Path) -> list[tuple[int, Path]]:
    """Older pieces, oldest first: where each ends, and its file."""
    found = []
    for piece in path.parent.glob(f"{path.name}.*"):
        end = piece.name[len(path.name) + 1 :]
        if end.isdigit():
            found.append((int(end), piece))
    return sorted(found)


def size(path: Path) -> int:
    """Bytes of the whole text, those included that are gone."""
    older = pieces(path)
    begin = older[-1][0] if older else 0
    try:
        return begin + path.stat().st_size
    except FileNotFoundError:
        return begin


def read(path: Path, offset: int, limit: int) -> tuple[bytes, int, int]:
    """Up to `limit` bytes from an offset (from the end, if negative), where they begin, and the whole size.

    What is gone already is passed over: the bytes then begin later than was asked for.
    """
    whole = size(path)
    start = min(offset, whole) if offset >= 0 else max(0, whole + offset)
    older = pieces(path)
    places = [(end - file.stat().st_size, end, file) for end, file in older]
    places.append((older[-1][0] if older else 0, whole, path))
    start = max(start, min(begin for begin, _, _ in places))
    parts, at, left = list[bytes](), start, limit
    for begin, end, file in places:
        if begin <= at < end and left > 0 and file.exists():
            with file.open("rb") as opened:
                opened.seek(at - begin)
                data = opened.read(min(left, end - at))
            parts.append(data)
            at, left = at + len(data), left - len(data)
    return b"".join(parts), start, whole


def rotate(
    path: Path, descriptors: tuple[int, ...] = (1, 2), limit: int = PIECE_BYTES, kept: int = KEPT_PIECES
) -> bool:
    """Begin a new piece if the present one is long; the process's own outputs follow. True if one was begun."""
    try:
        if path.stat().st_size < limit:
            return False
    except FileNotFoundError:
        return False
    aside = path.with_name(f".{path.name}.fresh")
    fresh = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)  # where this fails, nothing has changed
    try:
        path.rename(path.with_name(f"{path.name}.{size(path)}"))
        aside.rename(path)
        for _, piece in pieces(path)[:-kept]:
            piece.unlink(missing_ok=True)
        for descriptor in descriptors:
            os.dup2(fresh, descriptor)
    finally:
        os.close(fresh)
    return True
