"""What lies at a place, told from names and first bytes: kind, packing, encoding, files, and how many rows it has."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

from engine.compute.data.files import PACKINGS, SHORT, find_files
from engine.compute.data.kinds import looks_chinese
from engine.compute.data.tar import tar_member
from engine.compute.data.unpacking import PIECE, CutOff, Damaged
from engine.contract.datasets import MANIFEST
from engine.contract.errors import UserError

HEAD = 1 << 20
MOST_FILES = 1_000
KINDS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".txt": "text", ".text": "text", ".md": "text",
}  # fmt: skip
HURRY = 0.5
"""Seconds for a look into a packed archive."""
TABLES = ("parquet", "arrow")
MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


@dataclass
class Place:
    """What was seen without reading the rows."""

    kind: str
    compression: str = ""
    encoding: str = ""
    encoding_reason: str = ""
    files: list[str] = field(default_factory=list)
    bytes: int = 0
    rows: int | None = None
    """Where a table or a version says it."""
    bytes_a_row: float | None = None
    """Of a text, by the lines of its beginning; bytes as they lie on the disk."""


def look_at_place(path: Path, encoding: str = "auto") -> Place:
    """Look at names and first bytes."""
    if (path / MANIFEST).is_file():
        return _version(path)
    if path.is_dir():
        return _folder(path, encoding)
    place = _file(path, path.name, encoding)
    place.files = place.files or [path.name]
    return place


def _version(folder: Path) -> Place:
    from engine.compute.data.store import open_version

    manifest = open_version(folder).manifest
    return Place("version", encoding=manifest.encoding, files=manifest.files, bytes=manifest.bytes, rows=manifest.rows)


def _folder(folder: Path, encoding: str) -> Place:
    """The files below; rows are known where every one of them is a table that says so."""
    found = list(islice(_known_files(folder), MOST_FILES))
    place = Place("folder", files=[name for name, _ in found])
    place.bytes = sum(path.stat().st_size for _, path in found)
    if not found:
        return place
    first = _file(found[0][1], found[0][0], encoding)
    place.compression, place.encoding, place.encoding_reason = first.compression, first.encoding, first.encoding_reason
    place.bytes_a_row = first.bytes_a_row
    if first.rows is not None and len(found) <= 50:
        rows = [_rows_of_table(path, kind_of(name)[0]) for name, path in found]
        place.rows = sum(known for known in rows if known is not None) if None not in rows else None
    return place


def _known_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith(".") and kind_of(name)[0] and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def kind_of(name: str) -> tuple[str, str]:
    """Kind and packing of a file by the ends of its name."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    if last == ".zip":
        return "zip", ""
    if last == ".tar" or last in SHORT:
        return "tar", SHORT.get(last, "")
    if last in PACKINGS and suffixes[0] == ".tar":
        return "tar", PACKINGS[last]
    if last in PACKINGS and len(suffixes) == 2:
        return KINDS.get(suffixes[0], ""), PACKINGS[last]
    return KINDS.get(last, ""), ""


def _file(path: Path, name: str, encoding: str) -> Place:
    kind, packing = kind_of(name)
    place = Place(kind, packing)
    try:
        place.bytes = path.stat().st_size
        if not path.is_file():
            return place
        if kind in TABLES and not packing:
            place.rows = _rows_of_table(path, kind)
        elif kind == "zip":
            _look_into_zip(path, place, encoding)
        elif kind == "tar":
            _look_into_tar(path, place, encoding)
        elif kind:
            with path.open("rb") as raw:
                head, used = _head(raw, packing)
            _read_head(place, head, used, encoding, kind)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, lzma.LZMAError, CutOff, Damaged):
        pass  # what is wrong with the file is said by whoever reads it
    return place


def _head(raw: IO[bytes], packing: str) -> tuple[bytes, int]:
    """The first bytes unpacked, and how many bytes of the file they took."""
    stream: Any = raw
    if packing == "gzip":
        stream = gzip.GzipFile(fileobj=raw)
    elif packing == "bz2":
        stream = bz2.BZ2File(raw)
    elif packing == "xz":
        stream = lzma.LZMAFile(raw)  # noqa: SIM115 - whose file it is closes it
    elif packing == "zstd":
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.PythonFile(raw), "zstd")
    pieces, size = list[bytes](), 0
    try:
        while size < HEAD and (data := stream.read(min(1 << 16, HEAD - size))):
            pieces.append(data)
            size += len(data)
    except (OSError, EOFError):
        if not pieces:
            raise
    return b"".join(pieces), raw.tell() if packing else size


def _look_into_zip(path: Path, place: Place, encoding: str) -> None:
    with zipfile.ZipFile(path) as archive:
        inside = [info for info in archive.infolist() if kind_of(info.filename)[0] not in ("", "zip")]
        place.files = [info.filename for info in inside[:MOST_FILES]]
        first = min(inside, key=lambda info: info.filename, default=None)
        if first is not None and kind_of(first.filename)[0] not in TABLES:
            with archive.open(first) as stream:
                head = stream.read(HEAD)
            share = first.compress_size / max(1, first.file_size)
            _read_head(place, head, round(len(head) * share), encoding, kind_of(first.filename)[0])


def _look_into_tar(path: Path, place: Place, encoding: str) -> None:
    with suppress(UserError):  # what is wrong with it is said by whoever reads it
        inside = find_files(path, hurry=HURRY).files
        place.files = [file.name for file in inside[:MOST_FILES]]
        first = inside[0]
        if kind_of(first.name)[0] not in TABLES and not first.packing and first.stored is not None:
            with tar_member(path, first.stored) as stream:
                head = io.BufferedReader(stream, PIECE).read(HEAD)
            share = first.bytes / max(1, first.stored.size)
            _read_head(place, head, round(len(head) * share), encoding, kind_of(first.name)[0])


def _read_head(place: Place, head: bytes, used: int, encoding: str, kind: str) -> None:
    place.encoding, place.encoding_reason = encoding_of(head, encoding)
    lines = head.count(b"\n") if kind != "text" else head.count(b"\n\n")
    if kind in ("jsonl", "csv", "tsv", "text") and lines:
        place.bytes_a_row = used / lines


def encoding_of(head: bytes, given: str = "auto") -> tuple[str, str]:
    """Encoding of a text and a code for why."""
    if given != "auto":
        return given, "inspect.encoding_given"
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    if marked:
        return marked, "inspect.encoding_marked"
    even, odd = head[:4096:2], head[1:4096:2]
    if odd and (even.count(0) + odd.count(0)) > 0.3 * len(odd):
        return ("utf-16-be" if even.count(0) > odd.count(0) else "utf-16-le"), "inspect.encoding_zeros"
    whole = head[: head.rfind(b"\n") + 1] or head
    try:
        io.TextIOWrapper(io.BytesIO(whole), "utf-8").read()
    except UnicodeDecodeError as error:
        if error.start < len(whole) - 4 or len(whole) < HEAD:
            return ("gb18030", "inspect.encoding_chinese") if looks_chinese(whole) else ("", "inspect.encoding_unknown")
    return "utf-8", "inspect.encoding_utf8"


def _rows_of_table(path: Path, kind: str) -> int | None:
    """What a table says of its rows; None where it must be read to know."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if kind == "parquet":
            return int(pq.read_metadata(path).num_rows)
        if kind == "arrow":
            with pa.OSFile(str(path)) as source:
                file = pa.ipc.open_file(source)
                if file.num_record_batches <= 64:  # each is opened, and may be packed
                    return int(sum(file.get_batch(number).num_rows for number in range(file.num_record_batches)))
    except (pa.ArrowException, OSError):
        pass
    return None
