"""Reading dataset files row by row: JSONL, JSON, CSV, Parquet, Arrow and plain text."""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.compute.data.kinds import looks_chinese, refuse_other_kinds
from engine.compute.data.rows import Record
from engine.compute.data.strict_json import holds_half_characters, loads
from engine.contract.errors import Problem, UserError

MAX_LINE_BYTES = 64 << 20
"""A longer line is taken for a file of another kind."""
MAX_ARRAY_BYTES = 1 << 30
"""A JSON array is read whole; larger ones belong into JSONL, which is not."""
HEAD_BYTES = 4096
Found = Record | Problem


def read_records(path: Path) -> Iterator[Found]:
    """Every row of a file or folder, or what is wrong with it, in order."""
    try:
        if stat.S_ISDIR(_stat(path).st_mode):
            for file in files_in(path):
                yield from _read_file(file)
        else:
            yield from _read_file(path)
    except FileNotFoundError as error:
        raise UserError("data.missing", path=str(path)) from error
    except OSError as error:
        raise UserError("data.unreadable", path=str(path), detail=error.strerror or str(error)) from error


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError("data.dangling_link", path=str(path), target=str(path.readlink())) from None
        raise


def files_in(folder: Path) -> list[Path]:
    """The dataset files of a folder, by name."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS and path.is_file())
    if not found:
        raise UserError("data.empty_folder", path=str(folder), known=", ".join(sorted(READERS)))
    return found


def _read_file(path: Path) -> Iterator[Found]:
    """The rows of one file, which must be the same file from the first row to the last."""
    before = _stat(path)
    if not stat.S_ISREG(before.st_mode):  # opening a pipe would wait for ever
        raise UserError("data.not_a_file", path=str(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError("data.unknown_file", path=str(path), known=", ".join(sorted(READERS)))
    yield from reader(path)
    after = _stat(path)
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        raise UserError("data.changed", path=str(path), before=before.st_size, after=after.st_size)


def _lines(path: Path) -> Iterator[tuple[int, bytes | Problem]]:
    """Lines with their numbers, without a byte order mark; a line that is too long ends the file.

    Only up to where the file ended when it was opened: one that grows quicker than it is read would never end.
    """
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        refuse_other_kinds(file.read(HEAD_BYTES), path)
        file.seek(0)
        number = 0
        while left > 0 and (raw := file.readline(MAX_LINE_BYTES + 1)):
            number, left = number + 1, left - len(raw)
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if len(raw) > MAX_LINE_BYTES:
                yield number, _too_long(number)
                return
            yield number, raw


def _too_long(line: int) -> Problem:
    return Problem(code="data.line_too_long", line=line, params={"limit": MAX_LINE_BYTES >> 20})


def _decode(raw: bytes, line: int) -> str | Problem:
    if b"\x00" in raw:
        return Problem(code="data.zero_byte", line=line, params={"at": raw.index(b"\x00") + 1})
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        code = "data.bytes_gb18030" if looks_chinese(raw) else "data.bad_bytes"
        return Problem(code=code, line=line, params={"at": error.start + 1})


def _read_jsonl(path: Path) -> Iterator[Found]:
    for line, raw in _lines(path):
        text = raw if isinstance(raw, Problem) else _decode(raw, line)
        if isinstance(text, Problem):
            yield text
        elif text.strip():
            content = loads(text.rstrip("\r\n"), line)
            yield content if isinstance(content, Problem) else _as_record(content, line, text)


def _as_record(content: Any, line: int, text: str) -> Found:
    if not isinstance(content, dict):
        return Problem(code="data.not_an_object", line=line, params={"found": type(content).__name__})
    if holds_half_characters(content, text):
        return Problem(code="data.half_character", line=line)
    return Record(line, content)


def _read_json(path: Path) -> Iterator[Found]:
    """A JSON array of objects; what looks like one object a line is read as JSONL."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        refuse_other_kinds(head, path)
        if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
            yield from _read_jsonl(path)
            return
        raw = head + file.read(MAX_ARRAY_BYTES)
    if len(raw) > MAX_ARRAY_BYTES:
        raise UserError("data.array_too_large", path=str(path), limit=MAX_ARRAY_BYTES >> 20)
    text = _decode(raw.removeprefix(b"\xef\xbb\xbf"), 1)
    if isinstance(text, Problem):
        raise UserError("data.not_utf8", path=str(path), detail=text.reason)
    items = loads(text, 1)
    if isinstance(items, Problem):
        yield items
        return
    for number, content in enumerate(items, 1):
        yield _as_record(content, number, text)


def _read_csv(path: Path) -> Iterator[Found]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(MAX_LINE_BYTES)
    refused: list[Problem] = []
    reader = csv.DictReader(_csv_lines(path, refused), delimiter=delimiter, strict=True)
    line = 1
    try:
        twice = [name for name, count in Counter(reader.fieldnames or []).items() if count > 1]
        if twice:
            yield Problem(code="data.column_twice", line=1, field=twice[0], params={"column": twice[0]})
            return
        for row in reader:
            line = reader.line_num
            if not refused:  # a row that is cut off by a bad line is no row
                yield _csv_record(row, line)
    except csv.Error as error:
        if not refused:
            yield Problem(code="data.bad_csv", line=line + 1, params={"detail": str(error)})
    yield from refused


def _csv_lines(path: Path, refused: list[Problem]) -> Iterator[str]:
    """Lines as text up to the first that cannot be one."""
    for line, raw in _lines(path):
        text = raw if isinstance(raw, Problem) else _decode(raw, line)
        if isinstance(text, Problem):
            refused.append(text)
            return
        yield text


def _csv_record(row: dict[str | None, Any], line: int) -> Found:
    if None in row or any(value is None for value in row.values()):
        columns = sum(1 for key in row if key is not None)
        found = sum(1 for key, value in row.items() if key is not None and value is not None) + len(row.get(None) or [])
        return Problem(code="data.csv_columns", line=line, params={"expected": columns, "found": found})
    return Record(line, {key: value for key, value in row.items() if key is not None})


def _read_text(path: Path) -> Iterator[Found]:
    """Paragraphs parted by blank lines."""
    begin, size, parts = 0, 0, list[str]()
    for line, raw in _lines(path):
        text = raw if isinstance(raw, Problem) else _decode(raw, line)
        if isinstance(text, Problem):
            yield text
        elif text.strip():
            begin, size = (begin, size + len(text)) if parts else (line, len(text))
            if size > MAX_LINE_BYTES:
                yield _too_long(begin)
                return
            parts.append(text)
        elif parts:
            yield Record(begin, {"text": "".join(parts).strip("\r\n")})
            parts = []
    if parts:
        yield Record(begin, {"text": "".join(parts).strip("\r\n")})


def _read_parquet(path: Path) -> Iterator[Found]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            yield from _batches(file.iter_batches(batch_size=1024))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError("data.bad_arrow", path=str(path), detail=str(error)[:300]) from error


def _read_arrow(path: Path) -> Iterator[Found]:
    import pyarrow as pa

    try:
        with pa.OSFile(str(path)) as source:  # not mapped: a file cut while it is read would kill the process
            try:
                file = pa.ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                yield from _batches(pa.ipc.open_stream(source))
            else:
                yield from _batches(file.get_batch(n) for n in range(file.num_record_batches))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError("data.bad_arrow", path=str(path), detail=str(error)[:300]) from error


def _batches(batches: Any) -> Iterator[Found]:
    number = 0
    for batch in batches:
        for content in batch.to_pylist():
            number += 1
            yield Record(number, content)


READERS: dict[str, Callable[[Path], Iterator[Found]]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".txt": _read_text,
    ".text": _read_text,
    ".md": _read_text,
}
