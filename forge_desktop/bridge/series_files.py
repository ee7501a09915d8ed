"""Charts as files: all points as CSV, and pictures, written aside and renamed. Runs off the window's thread."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.client.download import Tell
from engine.contract.durable import ASIDE_BYTES, sync_folder, write_durably
from engine.contract.errors import UserError
from forge_desktop.bridge.points import SeriesPart

ROWS_AT_ONCE = 100_000


def write_csv(file: Path, curves: Mapping[str, SeriesPart], tell: Tell) -> int:
    """Every point as `metric,attempt,step,time,value`, in the order they were made; how many."""
    import pyarrow as pa
    import pyarrow.csv

    total, written = sum(len(part.x) for part in curves.values()), 0
    names = ("metric", "attempt", "step", "time", "value")
    kinds = (pa.string(), pa.int32(), pa.float64(), pa.float64(), pa.float64())
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    with _aside(file) as aside, pyarrow.csv.CSVWriter(str(aside), schema) as writer:
        for metric, part in curves.items():
            for begin in range(0, len(part.x), ROWS_AT_ONCE):
                rows = slice(begin, begin + ROWS_AT_ONCE)
                count = len(part.x[rows])
                columns = [pa.array([metric] * count), part.attempt[rows], part.x[rows], part.t[rows], part.value[rows]]
                writer.write_table(pa.table(dict(zip(names, columns, strict=True)), schema=schema))
                written += count
                tell(written, total)
    return written


def write_picture(file: Path, content: bytes) -> None:
    """A picture that was drawn already."""
    with _plain_words(file):
        write_durably(file, content)


@contextmanager
def _aside(file: Path) -> Iterator[Path]:
    """A name beside the file to write to; it takes the file's place when all went well."""
    aside = file.with_name(f".{file.name}.{secrets.token_hex(ASIDE_BYTES)}")
    with _plain_words(file):
        try:
            yield aside
            with aside.open("rb") as made:
                os.fsync(made.fileno())
            os.replace(aside, file)
            sync_folder(file.parent)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def _plain_words(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError("desktop.file_unwritable", file=str(file), detail=error.strerror or str(error)) from error
