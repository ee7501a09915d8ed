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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from engine.contract.durable import sync_folder

MARK = ".entry.json"
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

    def put(self, digest: str, files: Sequence[StoredFile], folder: Path, told: Callable[[int], None] = ...) -> None:
        """Put it there, unless it is; `told` hears of bytes as they go."""

    def fetch(self, digest: str, target: Path) -> None:
        """Have it in a folder here, every sum checked; the folder is there only when it is whole."""

    def remove(self, digest: str) -> None:
        """Let it go; one that is not there is gone already."""

    def listed(self) -> list[str]:
        """The digests of what is there, whole."""


class FileSystemStore:
    """Over any file system that pyarrow knows."""

    def __init__(self, filesystem: Any, root: str, makes_folders: bool) -> None:
        self._system = filesystem
        self._root = root.rstrip("/")
        self._makes_folders = makes_folders

    def has(self, digest: str) -> bool:
        """It is there, whole."""
        return self._size(self._path(digest, MARK)) is not None

    def put(
        self,
        digest: str,
        files: Sequence[StoredFile],
        folder: Path,
        told: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        """Put it there, unless it is; the mark comes last."""
        if self.has(digest):
            return
        for file in files:
            path = self._path(digest, file.name)
            if self._size(path) == file.bytes:
                told(file.bytes)
                continue
            with (folder / file.name).open("rb") as source, self._writer(path) as target:
                while data := source.read(PIECE):
                    target.write(data)
                    told(len(data))
        listing = [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in files]
        with self._writer(self._path(digest, MARK)) as target:
            target.write(json.dumps({"digest": digest, "files": listing}).encode())

    def fetch(self, digest: str, target: Path) -> None:
        """Have it here; raises DamagedEntry, and leaves nothing, if a sum is wrong."""
        with self._system.open_input_stream(self._path(digest, MARK)) as source:
            listing = json.loads(source.read())["files"]
        aside = target.with_name(f".{target.name}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            for file in listing:
                self._fetch_file(digest, StoredFile(file["name"], file["bytes"], file["sha256"]), aside)
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

    def _fetch_file(self, digest: str, file: StoredFile, aside: Path) -> None:
        self._path(digest, file.name)  # refuses what leads out
        place, found = aside / file.name, hashlib.sha256()
        place.parent.mkdir(parents=True, exist_ok=True)
        with self._system.open_input_stream(self._path(digest, file.name)) as source, place.open("wb") as target:
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

    def _writer(self, path: str) -> Any:
        if self._makes_folders:
            self._system.create_dir(path.rpartition("/")[0], recursive=True)
        return self._system.open_output_stream(path)

    def _size(self, path: str) -> int | None:
        (info,) = self._system.get_file_info([path])
        return int(info.size) if info.is_file else None

    def _below(self, path: str) -> list[Any]:
        from pyarrow import fs

        return list(self._system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True)))


def local_store(folder: Path) -> FileSystemStore:
    """In a folder of this computer."""
    from pyarrow import fs

    return FileSystemStore(fs.LocalFileSystem(), str(folder), makes_folders=True)


def s3_store(bucket: str, prefix: str = "", **options: Any) -> FileSystemStore:
    """In a bucket. Options are those of `pyarrow.fs.S3FileSystem`: access_key, secret_key, endpoint_override …."""
    from pyarrow import fs

    return FileSystemStore(fs.S3FileSystem(**options), f"{bucket}/{prefix}".rstrip("/"), makes_folders=False)
