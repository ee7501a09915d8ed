"""Parquet and Arrow (Feather, files and streams): some rows at a time, values as JSON has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engine.compute.data.plain import plain
from engine.compute.data.rows import Record
from engine.contract.errors import Problem, UserError

Found = Record | Problem
BATCH_ROWS, BATCH_BYTES = 1024, 4 << 20


def read_parquet(path: Path) -> Iterator[Found]:
    """The rows of a Parquet file, row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            yield from _refuse_twice(file.schema_arrow.names)
            yield from _rows(file.iter_batches(batch_size=_batch_rows(file.metadata)))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError("data.bad_arrow", path=str(path), detail=str(error)[:300]) from error


def _batch_rows(metadata: Any) -> int:
    """Fewer rows at once, the wider they are."""
    groups = (metadata.row_group(number) for number in range(min(metadata.num_row_groups, 8)))
    widest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=1)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, widest)))


def read_arrow(path: Path) -> Iterator[Found]:
    """The rows of an Arrow file or stream."""
    import pyarrow as pa

    try:
        with pa.OSFile(str(path)) as source:  # not mapped: a file cut while it is read would kill the process
            try:
                file = pa.ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                file = pa.ipc.open_stream(source)
                batches: Iterable[Any] = file
            else:
                batches = (file.get_batch(number) for number in range(file.num_record_batches))
            yield from _refuse_twice(file.schema.names)
            yield from _rows(part for batch in batches for part in _parts(batch))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError("data.bad_arrow", path=str(path), detail=str(error)[:300]) from error


def _parts(batch: Any) -> Iterator[Any]:
    for begin in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(begin, BATCH_ROWS)


def _refuse_twice(names: list[str]) -> Iterator[Problem]:
    """Of two columns with one name, one would be lost."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise UserError("data.columns_alike", column=str(twice)[:80])
    return iter(())


def _rows(batches: Iterable[Any]) -> Iterator[Found]:
    number = 0
    for batch in batches:
        batch.validate(full=True)  # places that lead out of a damaged file would kill the process
        for content in batch.to_pylist():
            number += 1
            yield Record(number, plain(content))
