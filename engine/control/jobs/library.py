"""Copies of results that outlive their run's working files: made aside, synced, checked by sha256, then renamed."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path

from engine.contract.durable import sync_folder, write_durably
from engine.contract.paths import Home
from engine.control.store.artifacts import Stored

LOG_TAIL_BYTES = 65_536
ASIDE = "."


class NotCopied(Exception):
    """A result could not be copied whole; the words say which, and why."""


def keep_results(home: Home, uid: str, results: list[Stored], config: str | None, log: Path) -> dict[int, str]:
    """Copy results, config and the log's end; artifact id to its path in the run's library folder."""
    folder = home.library / uid
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{ASIDE}*"):
            _remove(left)
        made = {result.id: _keep(home, uid, result) for result in results if result.library is None}
        if config is not None:
            write_durably(folder / "config.yaml", config.encode())
        tail = _tail(log)
        if tail:
            write_durably(folder / "worker.log", tail)
        sync_folder(home.library)
        sync_folder(home.root)
    except OSError as error:
        raise NotCopied(str(error)) from error
    return made


def _keep(home: Home, uid: str, result: Stored) -> str:
    root, relative = result.place(home, uid)
    name = f"{result.attempt}-{Path(relative).name}"
    source, target = root / relative, home.library / uid / name
    if not source.exists():
        raise NotCopied(f"{relative} is not there.")
    if source.is_symlink() or not source.resolve().is_relative_to(root.resolve()):
        raise NotCopied(f"{relative} is not in its folder.")
    expected = result.sha256 or fingerprint(source)
    if not target.exists() or fingerprint(target) != expected:
        aside = target.with_name(f"{ASIDE}{name}.{secrets.token_hex(4)}")
        _copy(source, aside)
        found = fingerprint(aside)
        if found != expected:
            _remove(aside)
            raise NotCopied(f"{relative}: its sha256 is {found}, not {expected}.")
        _remove(target)
        aside.rename(target)
        sync_folder(target.parent)
    return name


def fingerprint(path: Path) -> str:
    """Sha256 of a file; of a folder, that of its sorted `name sha256` lines, as the worker computes it."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    lines = sorted(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in _files(path))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder and have it on the disk."""
    if source.is_file():
        shutil.copyfile(source, target)
        _sync(target)
        return
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile)
    for file in _files(target):
        _sync(file)
    for folder in [path for path in target.rglob("*") if path.is_dir()] + [target]:
        sync_folder(folder)


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tail(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
