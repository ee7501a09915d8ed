"""Writing files so that a crash leaves either the old content or the new, never half of it."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.contract.faults import fault

ASIDE_BYTES = 4
"""Of chance in the name of a file that is written aside."""


def write_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write aside, fsync, rename, and fsync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(ASIDE_BYTES)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            fault("durable.before_fsync")
            os.fsync(file.fileno())
        fault("durable.before_rename")
        os.replace(aside, path)
        fault("durable.after_rename")
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def aside(file: Path) -> Iterator[Path]:
    """A name beside the file to write to; it takes the file's place when all went well."""
    made = file.with_name(f".{file.name}.{secrets.token_hex(ASIDE_BYTES)}")
    try:
        yield made
        with made.open("rb") as whole:
            os.fsync(whole.fileno())
        os.replace(made, file)
        sync_folder(file.parent)
    finally:
        made.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what was written aside here by a process that did not live to put it in place."""
    for path in folder.glob(".*"):
        name, _, mark = path.name.rpartition(".")
        if len(name) > 1 and len(mark) == 2 * ASIDE_BYTES and set(mark) <= set("0123456789abcdef") and path.is_file():
            path.unlink(missing_ok=True)


def write_json(path: Path, content: Any, mode: int = 0o644) -> None:
    """`write_durably` for plain data."""
    write_durably(path, json.dumps(content, ensure_ascii=False, indent=1).encode(), mode)


def sync_folder(folder: Path) -> None:
    """Make a rename inside the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
