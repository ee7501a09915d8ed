"""Artefacts by content, behind one interface: in a folder of this computer, or in a bucket that speaks S3.

<root>/<digest>/<name>          the files of an entry
<root>/<digest>/.entry.json     written last: with it the entry is whole; its sums are checked when it is fetched

A copy that broke off goes on: files that are there in their full size are not sent again. Nothing is held in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from engine.contract.durable import sync_folder

MARK = ".entry.json"
PARTIAL = ".partial"
PIECE = 8 << 20


class DamagedEntry(Exception):
    """What a store holds is not what was put into it."""


@dataclass(frozen=True)
class StoredFile:
    """A file of an entry."""

    name: str
    bytes: int
    sha256: str


class ArtifactStore(Protocol):
    """Entries by the digest of their content. Its methods wait: call them on a thread."""

    def has(self, digest: str) -> bool:
        """It is there, whole."""

    def put(
        self,
        digest: str,
        files: Sequence[StoredFile],
        folder: Path,
        told: Callable[[int], None] = ...,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Put it there, unless it is; `told` hears of bytes as they go, `about` stands in its mark."""

    def about(self, digest: str) -> dict[str, Any]:
        """What was said of it when it was put there."""

    def verify(self, digest: str) -> bool:
        """Read it back: whether every sum is right. One that is not there is not right."""

    def fetch(self, digest: str, target: Path) -> None:
        """Have it in a folder here, every sum checked; the folder is there only when it is whole."""

    def remove(self, digest: str) -> None:
        """Let it go; one that is not there is gone already."""

    def listed(self) -> list[str]:
        """The digests of what is there, whole."""

    def clear(self) -> None:
        """Let everything go, half entries too."""


class FileSystemStore:
    """Over any file system that pyarrow knows. `here`: it is this computer's, which must be told to sync."""

    def __init__(self, filesystem: Any, root: str, here: bool) -> None:
        self._system = filesystem
        self._root = root.rstrip("/")
        self._here = here

    def has(self, digest: str) -> bool:
        """It is there, whole."""
        return self._size(self._path(digest, MARK)) is not None

    def put(
        self,
        digest: str,
        files: Sequence[StoredFile],
        folder: Path,
        told: Callable[[int], None] = lambda _bytes: None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Put it there, unless it is; the mark comes last."""
        if self.has(digest):
            return
        for file in files:
            path = self._path(digest, file.name)
            if self._size(path) == file.bytes:
                told(file.bytes)
                continue
            with (folder / file.name).open("rb") as source:
                self._write(path, source, told)
            if (found := self._size(path)) != file.bytes:
                raise DamagedEntry(f"{digest}: {file.name} has {found} of {file.bytes} bytes")
        listing = [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in files]
        mark = {"digest": digest, "files": listing, "about": dict(about or {})}
        self._write(self._path(digest, MARK), _Text(json.dumps(mark).encode()))

    def about(self, digest: str) -> dict[str, Any]:
        """What was said of it when it was put there."""
        return dict(self._mark(digest).get("about") or {})

    def verify(self, digest: str) -> bool:
        """Read it back."""
        if not self.has(digest):
            return False
        return all(self._is_right(digest, file) for file in self._files(digest))

    def fetch(self, digest: str, target: Path) -> None:
        """Have it here; raises DamagedEntry, and leaves nothing, if a sum is wrong."""
        files = self._files(digest)
        aside = target.with_name(f".{target.name}{PARTIAL}")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            for file in files:
                self._fetch_file(digest, file, aside)
            for folder in [*(path for path in aside.rglob("*") if path.is_dir()), aside]:
                sync_folder(folder)
            aside.rename(target)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def remove(self, digest: str) -> None:
        """The mark first: half an entry is none."""
        if self._size(self._path(digest, MARK)) is not None:
            self._system.delete_file(self._path(digest, MARK))
        with contextlib.suppress(FileNotFoundError):
            self._system.delete_dir(self._path(digest, ""))

    def listed(self) -> list[str]:
        """The digests of what is there, whole."""
        marks = [info.path for info in self._below(self._root) if PurePosixPath(info.path).name == MARK]
        return sorted(PurePosixPath(path).parent.name for path in marks)

    def clear(self) -> None:
        """Let everything go: what is whole is not whole any more before the rest goes."""
        for digest in self.listed():
            self._system.delete_file(self._path(digest, MARK))
        if self._below(self._root):
            with contextlib.suppress(FileNotFoundError):
                self._system.delete_dir(self._root)

    def _mark(self, digest: str) -> dict[str, Any]:
        path = self._path(digest, MARK)
        try:
            with self._system.open_input_stream(path) as source:
                return dict(json.loads(source.read()))
        except OSError as error:  # a bucket has words of its own for what goes while it is read
            if self._size(path) is None:
                raise FileNotFoundError(path) from error
            raise

    def _files(self, digest: str) -> list[StoredFile]:
        return [StoredFile(file["name"], file["bytes"], file["sha256"]) for file in self._mark(digest)["files"]]

    def _is_right(self, digest: str, file: StoredFile) -> bool:
        found, path = hashlib.sha256(), self._path(digest, file.name)
        if self._size(path) != file.bytes:
            return False
        with self._system.open_input_stream(path) as source:
            while data := source.read(PIECE):
                found.update(data)
        return found.hexdigest() == file.sha256

    def _fetch_file(self, digest: str, file: StoredFile, aside: Path) -> None:
        path = self._path(digest, file.name)  # refuses what leads out
        place, found = aside / file.name, hashlib.sha256()
        place.parent.mkdir(parents=True, exist_ok=True)
        if self._size(path) is None:
            raise DamagedEntry(f"{digest}: {file.name} is missing")
        with self._system.open_input_stream(path) as source, place.open("wb") as target:
            while data := source.read(PIECE):
                found.update(data)
                target.write(data)
            target.flush()
            os.fsync(target.fileno())
        if found.hexdigest() != file.sha256:
            raise DamagedEntry(f"{digest}: {file.name} is not what was put there")

    def _path(self, digest: str, name: str) -> str:
        parts = PurePosixPath(name).parts
        if not digest.isalnum() or ".." in parts or name.startswith("/"):
            raise ValueError(f"{digest}/{name} leads out of the store")
        return "/".join([self._root, digest, *parts])

    def _write(self, path: str, source: Any, told: Callable[[int], None] = lambda _bytes: None) -> None:
        """A file, whole at once: a bucket does that by itself, here it is written aside and synced."""
        if not self._here:
            with self._system.open_output_stream(path) as target:
                _copy(source, target, told)
            return
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(f"{place.name}{PARTIAL}")
        with aside.open("wb") as file:
            _copy(source, file, told)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(place)
        sync_folder(place.parent)

    def _size(self, path: str) -> int | None:
        (info,) = self._system.get_file_info([path])
        return int(info.size) if info.is_file else None

    def _below(self, path: str) -> list[Any]:
        from pyarrow import fs

        return list(self._system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True)))


class _Text:
    """A few bytes, read as a file is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, _size: int) -> bytes:
        """All of it, once."""
        data, self._data = self._data, b""
        return data


def _copy(source: Any, target: Any, told: Callable[[int], None]) -> None:
    while data := source.read(PIECE):
        target.write(data)
        told(len(data))


def local_store(folder: Path) -> FileSystemStore:
    """In a folder of this computer."""
    from pyarrow import fs

    return FileSystemStore(fs.LocalFileSystem(), str(folder), here=True)


def s3_store(bucket: str, prefix: str = "", **options: Any) -> FileSystemStore:
    """In a bucket. Options are those of `pyarrow.fs.S3FileSystem`: access_key, secret_key, endpoint_override …."""
    from pyarrow import fs

    return FileSystemStore(fs.S3FileSystem(**options), f"{bucket}/{prefix}".rstrip("/"), here=False)
