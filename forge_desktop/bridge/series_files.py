"""Charts as files: all points as CSV, and pictures, written aside and renamed. Runs off the window's thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.client.download import Tell
from engine.contract.durable import write_durably
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.bridge.whole_files import aside, plain_words

ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Piece:
    """Some points of one metric of one run."""

    run: str
    name: str
    """What people call it."""
    metric: str
    part: SeriesPart


def write_csv(file: Path, pieces: Iterable[Piece], total: int, tell: Tell, with_run: bool = False) -> int:
    """Every point as `metric,attempt,step,time,value`, in the order they were made, written as it comes; how many.

    `with_run` puts id and name of the run before. `tell` hears how many are written, and may raise `Cancelled`.
    """
    import pyarrow as pa
    import pyarrow.csv

    names = [*(("run", "name") if with_run else ()), "metric", "attempt", "step", "time", "value"]
    kinds = [pa.string()] * (len(names) - 4) + [pa.int32(), *[pa.float64()] * 3]
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    written = 0
    with aside(file) as made, pyarrow.csv.CSVWriter(str(made), schema) as writer:
        for piece in pieces:
            for begin in range(0, len(piece.part.x), ROWS_AT_ONCE):
                part = piece.part
                rows = slice(begin, begin + ROWS_AT_ONCE)
                count = len(part.x[rows])
                texts = [*((piece.run, piece.name) if with_run else ()), piece.metric]
                columns = [pa.repeat(text, count) for text in texts]
                numbers = [pa.array(column[rows]) for column in (part.attempt, part.x, part.t, part.value)]
                writer.write_batch(pa.record_batch([*columns, *numbers], schema=schema))
                written += count
                tell(written, max(total, written))
    return written


def write_picture(file: Path, content: bytes) -> None:
    """A picture that was drawn already."""
    with plain_words(file):
        write_durably(file, content)
