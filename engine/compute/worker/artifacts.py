"""Results: written aside, synced, renamed into the outputs folder, and fingerprinted."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.contract.durable import sync_folder


@dataclass(frozen=True)
class Fingerprint:
    """Size and sha256 of a file, or of a folder's sorted `name sha256` lines."""

    bytes: int
    sha256: str


def publish_folder(target: Path, write: Callable[[Path], Fingerprint | None]) -> Fingerprint:
    """Let `write` fill a folder aside, then put it in place as a whole, replacing an older one.

    `write` may return the fingerprint if it knows it already.
    """
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        fingerprint = write(aside) or fingerprint_of(aside)
        for path in _files(aside):
            _sync_file(path)
        for folder in [path for path in aside.rglob("*") if path.is_dir()] + [aside]:
            sync_folder(folder)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_folder(target.parent)
    return fingerprint


def fingerprint_of(path: Path) -> Fingerprint:
    """The fingerprint of a file or folder."""
    if path.is_file():
        return Fingerprint(path.stat().st_size, _sha256(path))
    marks = {file.relative_to(path).as_posix(): (file.stat().st_size, _sha256(file)) for file in _files(path)}
    return fingerprint_of_marks(marks)


def fingerprint_of_marks(marks: Mapping[str, tuple[int, str]]) -> Fingerprint:
    """The fingerprint of a folder from its files' names, sizes and sha256."""
    lines = sorted(f"{name} {sha256}" for name, (_, sha256) in marks.items())
    size = sum(size for size, _ in marks.values())
    return Fingerprint(size, hashlib.sha256("\n".join(lines).encode()).hexdigest())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
