"""An image's archive without the layers the other side has: a new version of our code is megabytes, not gigabytes."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection, Iterable, Iterator
from typing import Any, cast

PIECE = 1 << 20
MANIFEST = "manifest.json"
END = b"\0" * 2 * tarfile.BLOCKSIZE


def shared_layers(layers: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> int:
    """How many of the first layers some other image stands on too; never all, for then nothing would be to copy."""
    most = 0
    for other in others:
        same = next((n for n, pair in enumerate(zip(layers, other, strict=False)) if pair[0] != pair[1]), None)
        most = max(most, min(len(layers), len(other)) if same is None else same)
    return max(0, min(most, len(layers) - 1))


def layer_files(pieces: Iterator[bytes]) -> list[str]:
    """Where the layers lie in the archive, the lowest first. Its list of contents comes last, so all of it is read."""
    with tarfile.open(fileobj=_reader(pieces), mode="r|") as tar:
        for member in tar:
            if member.name == MANIFEST:
                found = tar.extractfile(member)
                content = json.load(found) if found else []
                return [str(path) for path in content[0]["Layers"]] if content else []
    return []


def without(pieces: Iterator[bytes], left_out: Collection[str]) -> Iterator[bytes]:
    """The archive without these files."""
    with tarfile.open(fileobj=_reader(pieces), mode="r|") as tar:
        for member in tar:
            if member.name in left_out:
                continue
            yield member.tobuf(tarfile.PAX_FORMAT)
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                while piece := content.read(PIECE):
                    yield piece
                yield b"\0" * (-member.size % tarfile.BLOCKSIZE)
    yield END


def _reader(pieces: Iterator[bytes]) -> Any:
    return cast(Any, io.BufferedReader(_Pieces(pieces), PIECE))


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
