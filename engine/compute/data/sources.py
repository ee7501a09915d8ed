"""The door to rows: any file, folder, archive or version of the library, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from engine.compute.data.encodings import TextLines
from engine.compute.data.files import KNOWN, DataFile, find_files
from engine.compute.data.read_csv import read_csv
from engine.compute.data.read_json import read_json, read_jsonl
from engine.compute.data.read_tables import read_arrow, read_parquet
from engine.compute.data.read_text import read_text
from engine.compute.data.rows import Record
from engine.compute.data.streams import Opened, on_disk, opened
from engine.compute.data.unpacking import CutOff, Damaged
from engine.contract.datasets import MANIFEST
from engine.contract.errors import Problem, UserError

Found = Record | Problem
READERS = KNOWN
"""Endings of files that can be read."""


def read_records(path: Path, encoding: str = "auto", hurry: float | None = None) -> Iterator[Found]:
    """Every row of a file, folder, archive or version, or what is wrong with it, in order.

    `hurry` is for a look: see `find_files`.
    """
    with plain_errors(path):
        if (path / MANIFEST).is_file():
            from engine.compute.data.store import open_version

            yield from open_version(path).records()
            return
        for file in find_files(path, hurry=hurry).files:
            with opened(file) as source:
                yield from read_file(source, encoding)


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """What the system says, in words a person can act on."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError("data.missing", path=str(path)) from error
    except OSError as error:
        raise UserError("data.unreadable", path=str(path), detail=error.strerror or str(error)) from error


def read_file(source: Opened, encoding: str = "auto", skip: int = 0) -> Iterator[Found]:
    """The rows of one file behind the first `skip`; a packed one that is damaged says how far it could be read."""
    rows = skip
    try:
        for found in _rows(source, encoding, skip):
            rows += 1
            yield found
    except CutOff as error:
        raise UserError("data.truncated", path=_shown(source.file), rows=rows) from error
    except Damaged as error:
        raise UserError("data.damaged", path=_shown(source.file), detail=str(error)[:200], rows=rows) from error


def _shown(file: DataFile) -> str:
    return f"{file.path} » {file.member}" if file.member else str(file.path)


def _rows(source: Opened, encoding: str, skip: int) -> Iterator[Found]:
    kind = source.file.kind
    if kind in (".jsonl", ".ndjson"):
        return read_jsonl(TextLines(source, encoding), skip)
    return islice(_all_rows(source, encoding, kind), skip, None)


def _all_rows(source: Opened, encoding: str, kind: str) -> Iterator[Found]:
    if kind == ".json":
        yield from read_json(TextLines(source, encoding))
    elif kind in (".csv", ".tsv"):
        yield from read_csv(TextLines(source, encoding), kind)
    elif kind in (".parquet", ".arrow", ".feather"):
        with on_disk(source) as path:
            yield from read_parquet(path) if kind == ".parquet" else read_arrow(path)
    else:
        yield from read_text(TextLines(source, encoding))
