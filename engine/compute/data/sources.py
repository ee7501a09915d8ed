"""Reading dataset files row by row: JSONL, JSON, CSV, Parquet, Arrow and plain text."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.compute.data.rows import Record
from engine.contract.errors import Problem, UserError

MAX_LINE_BYTES = 64 << 20
"""A longer line is taken for a file of another kind."""
Found = Record | Problem


def read_records(path: Path) -> Iterator[Found]:
    """Every row of a file or folder, or what is wrong with it, in order."""
    if not path.exists():
        raise UserError("data.missing", path=str(path))
    if path.is_dir():
        for file in files_in(path):
            yield from read_records(file)
        return
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError("data.unknown_file", path=str(path), known=", ".join(sorted(READERS)))
    try:
        yield from reader(path)
    except PermissionError as error:
        raise UserError("data.unreadable", path=str(path), detail=error.strerror or "") from error


def files_in(folder: Path) -> list[Path]:
    """The dataset files of a folder, by name."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS and path.is_file())
    if not found:
        raise UserError("data.empty_folder", path=str(folder), known=", ".join(sorted(READERS)))
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes | Problem]]:
    """Lines with their numbers, without a byte order mark; a line that is too long ends the file."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                _refuse_other_encodings(raw, path)
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if len(raw) > MAX_LINE_BYTES:
                yield number, Problem(code="data.line_too_long", line=number, params={"limit": MAX_LINE_BYTES >> 20})
                return
            yield number, raw


def _refuse_other_encodings(raw: bytes, path: Path) -> None:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError("data.not_utf8", path=str(path), detail="It is UTF-16.")
    if b"\x00" in raw[:4096]:
        raise UserError("data.binary", path=str(path))


def _decode(raw: bytes, line: int) -> str | Problem:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem(code="data.bad_bytes", line=line, params={"at": error.start + 1})


def _read_jsonl(path: Path) -> Iterator[Found]:
    for line, raw in _lines(path):
        text = raw if isinstance(raw, Problem) else _decode(raw, line)
        if isinstance(text, Problem):
            yield text
        elif text.strip():
            yield _parse(text, line)


def _loads(text: str, line: int) -> Any | Problem:
    """The value in a JSON text that begins in this line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        params = {"column": error.colno, "detail": error.msg}
        return Problem(code="data.bad_json", line=line + error.lineno - 1, params=params)
    except RecursionError:
        return Problem(code="data.bad_json", line=line, params={"column": 1, "detail": "Nested too deeply"})


def _parse(text: str, line: int) -> Found:
    content = _loads(text.rstrip("\r\n"), line)
    return content if isinstance(content, Problem) else _as_record(content, line)


def _as_record(content: Any, line: int) -> Found:
    if not isinstance(content, dict):
        return Problem(code="data.not_an_object", line=line, params={"found": type(content).__name__})
    return Record(line, content)


def _read_json(path: Path) -> Iterator[Found]:
    """A JSON array of objects; what looks like one object a line is read as JSONL."""
    raw = path.read_bytes()
    _refuse_other_encodings(raw[:4096], path)
    text = _decode(raw.removeprefix(b"\xef\xbb\xbf"), 1)
    if isinstance(text, Problem):
        raise UserError("data.not_utf8", path=str(path), detail=f"Byte {text.params['at']} is no UTF-8.")
    if not text.lstrip().startswith("["):
        yield from _read_jsonl(path)
        return
    items = _loads(text, 1)
    if isinstance(items, Problem):
        yield items
        return
    for number, content in enumerate(items, 1):
        yield _as_record(content, number)


def _read_csv(path: Path) -> Iterator[Found]:
    with path.open("rb") as file:
        _refuse_other_encodings(file.read(4096), path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(MAX_LINE_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        line = 1
        try:
            for row in reader:
                line = reader.line_num
                yield _csv_record(row, line)
        except csv.Error as error:
            yield Problem(code="data.bad_csv", line=line + 1, params={"detail": str(error)})
        except UnicodeDecodeError as error:
            raise UserError("data.not_utf8", path=str(path), detail=f"{error.reason} near line {line}.") from error


def _csv_record(row: dict[str | None, Any], line: int) -> Found:
    if None in row or any(value is None for value in row.values()):
        columns = sum(1 for key in row if key is not None)
        found = sum(1 for key, value in row.items() if key is not None and value is not None) + len(row.get(None) or [])
        return Problem(code="data.csv_columns", line=line, params={"expected": columns, "found": found})
    return Record(line, {key: value for key, value in row.items() if key is not None})


def _read_text(path: Path) -> Iterator[Found]:
    """Paragraphs parted by blank lines."""
    begin, parts = 0, list[str]()
    for line, raw in _lines(path):
        text = raw if isinstance(raw, Problem) else _decode(raw, line)
        if isinstance(text, Problem):
            yield text
        elif text.strip():
            begin = begin if parts else line
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
        with pq.ParquetFile(path) as file:
            yield from _batches(file.iter_batches(batch_size=1024))
    except pa.ArrowInvalid as error:
        raise UserError("data.bad_arrow", path=str(path), detail=str(error)) from error


def _read_arrow(path: Path) -> Iterator[Found]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            try:
                reader = pa.ipc.open_file(source)
                yield from _batches(reader.get_batch(n) for n in range(reader.num_record_batches))
            except pa.ArrowInvalid:
                source.seek(0)
                yield from _batches(pa.ipc.open_stream(source))
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError("data.bad_arrow", path=str(path), detail=str(error)) from error


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
