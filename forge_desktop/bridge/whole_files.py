"""Files that appear whole or not at all: written beside their name, and renamed. Runs off the window's thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.contract import durable
from engine.contract.errors import UserError


@contextmanager
def aside(file: Path) -> Iterator[Path]:
    """A name beside the file to write to; it takes the file's place when all went well."""
    with plain_words(file), durable.aside(file) as made:
        yield made


@contextmanager
def plain_words(file: Path) -> Iterator[None]:
    """What a file system refuses, as an error people can read."""
    try:
        yield
    except OSError as error:
        raise UserError("desktop.file_unwritable", file=str(file), detail=error.strerror or str(error)) from error
