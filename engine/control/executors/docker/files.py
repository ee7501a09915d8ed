"""Files to and from a container as tar streams: never whole in memory, nothing outside its folder, placed whole."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO, Any

import docker

from engine.contract.durable import sync_folder
from engine.control.executors.docker import names

PIECE = 1 << 20
PARTIAL = ".partial"


class BadArchive(Exception):
    """An archive holds what must not be there; the text is its name."""


class CutOff(Exception):
    """A copy broke off: what came is not whole."""


class Content:
    """One file of an archive, to be read while the archive is at it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end."""
        try:
            return self._file.read(size if size >= 0 else None)  # type: ignore[arg-type] # of an archive it may be None
        except (tarfile.ReadError, EOFError) as error:
            raise CutOff(str(error)) from error


Member = tuple[str, tarfile.TarInfo, Content]
"""Path, facts and content of something in an archive."""


@dataclass(frozen=True)
class Item:
    """A file or folder to be sent."""

    name: str
    """Its path below the folder it is put into."""
    content: bytes | Path | None = None
    """Bytes, or a file to read; None: a folder."""
    mode: int = 0o644
    start: int = 0
    size: int | None = None
    """Of a file: how much of it, from where."""
    link: str = ""
    """A link to there, in place of a file."""


def packed(items: Iterable[Item]) -> Iterator[bytes]:
    """A tar of the items, piece by piece, owned by the worker's user. Raises CutOff if a file shrank meanwhile."""
    for item in items:
        info = tarfile.TarInfo(item.name)
        info.uid = info.gid = names.USER
        info.mode = item.mode
        if item.link:
            info.type, info.linkname = tarfile.SYMTYPE, item.link
            yield info.tobuf(tarfile.PAX_FORMAT)
            continue
        if item.content is None:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            yield info.tobuf(tarfile.PAX_FORMAT)
            continue
        info.size = _size(item)
        yield info.tobuf(tarfile.PAX_FORMAT)
        yield from _content(item, info.size)
        if info.size % tarfile.BLOCKSIZE:
            yield b"\0" * (tarfile.BLOCKSIZE - info.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _size(item: Item) -> int:
    if isinstance(item.content, bytes):
        return len(item.content)
    assert item.content is not None
    return item.size if item.size is not None else item.content.stat().st_size - item.start


def _content(item: Item, size: int) -> Iterator[bytes]:
    if isinstance(item.content, bytes):
        yield item.content
        return
    assert item.content is not None
    left = size
    with item.content.open("rb") as file:
        file.seek(item.start)
        while left:
            data = file.read(min(PIECE, left))
            if not data:
                raise CutOff(f"{item.content} became shorter")
            left -= len(data)
            yield data


def folder_items(folder: Path, name: str) -> Iterator[Item]:
    """A folder of plain files, with everything in it."""
    yield Item(name)
    for path in sorted(folder.rglob("*")):
        below = f"{name}/{path.relative_to(folder).as_posix()}"
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadArchive(below)
        yield Item(below) if path.is_dir() else Item(below, path)


def parents(path: PurePosixPath) -> list[Item]:
    """The folders on the way to a path, itself included."""
    return [Item(str(PurePosixPath(*path.parts[: n + 1]))) for n in range(len(path.parts))]


def send(api: docker.APIClient, container: str, items: Iterable[Item], into: PurePosixPath = names.JOB) -> None:
    """Put them into a folder of the container, which may run or not."""
    api.put_archive(container, str(into), packed(items))


def members(api: docker.APIClient, container: str, path: PurePosixPath) -> Iterator[Member]:
    """What lies at a path, as (path below it, facts, content to be read at once); '' is the path itself.

    The engine answers nothing else about the container until this is read to its end: ask one that does not run.
    """
    stream, _ = api.get_archive(container, str(path), chunk_size=PIECE)
    try:
        with tarfile.open(fileobj=_Stream(stream), mode="r|", bufsize=PIECE) as archive:
            for info in archive:
                below = _below(info.name)
                if info.isdir():
                    yield below, info, Content(io.BytesIO())
                elif info.isreg():
                    content = archive.extractfile(info)
                    assert content is not None
                    yield below, info, Content(content)
                else:
                    raise BadArchive(info.name)
    except (tarfile.ReadError, EOFError) as error:
        raise CutOff(f"{path}: {error}") from error
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _below(name: str) -> str:
    """A member's path without the first part, which is the name of what was asked for."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadArchive(name)
    return str(PurePosixPath(*path.parts[1:])) if len(path.parts) > 1 else ""


def place(folder: Path, below: str) -> Path:
    """A path in a folder; refused where it leads out."""
    path = PurePosixPath(below)
    if path.is_absolute() or ".." in path.parts:
        raise BadArchive(below)
    return folder.joinpath(*path.parts)


def save(content: Content, target: Path, size: int) -> None:
    """Write one file to the disk, whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while data := content.read(PIECE):
            file.write(data)
        if file.tell() != size:
            raise CutOff(f"{target.name}: {file.tell()} of {size} bytes")
        file.flush()
        os.fsync(file.fileno())


def receive(api: docker.APIClient, container: str, path: PurePosixPath, aside: Path) -> None:
    """Fetch a folder to `aside`, which is made anew."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for below, info, content in members(api, container, path):
        target = place(aside, below)
        if info.isdir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            save(content, target, info.size)


def read(api: docker.APIClient, container: str, path: PurePosixPath, most: int = 1 << 20) -> bytes | None:
    """A small file; None where there is none."""
    try:
        for _, info, content in members(api, container, path):
            return content.read(most) if info.isreg() else None
    except docker.errors.NotFound:
        return None
    return None


def size(api: docker.APIClient, container: str, path: PurePosixPath) -> int | None:
    """Of a file there, without reading it; None where there is none."""
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    answer = api.head(url, params={"path": str(path)}, timeout=api.timeout)
    if answer.status_code != HTTPStatus.OK:
        return None
    return int(json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))["size"])


def owner(api: docker.APIClient, container: str, path: PurePosixPath) -> int:
    """The user a folder belongs to."""
    for _, info, _ in members(api, container, path):
        return info.uid
    raise CutOff(str(path))


def put_in_place(aside: Path, target: Path) -> None:
    """A folder that is whole takes the place of an older one."""
    for folder in [path for path in aside.rglob("*") if path.is_dir()] + [aside]:
        sync_folder(folder)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        cut = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
