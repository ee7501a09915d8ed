"""Rows in tar archives: read as they lie, in one pass, nothing written out; what leads elsewhere is refused whole."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from test_readers import LINES, ROWS, arrow, growth, table

from engine.compute.data import tar
from engine.compute.data.feeds import FileFeed, Place
from engine.compute.data.files import find_files
from engine.compute.data.inspect import inspect
from engine.compute.data.rows import Record
from engine.compute.data.sources import read_records
from engine.contract.data import DataSource
from engine.contract.dataset_queries import InspectData
from engine.contract.errors import UserError

PACKED = {
    "a.tar": bytes,
    "a.tar.gz": gzip.compress,
    "a.tgz": gzip.compress,
    "a.tar.zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "a.tar.bz2": bz2.compress,
    "a.tar.xz": lzma.compress,
}


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    for stream in tar._SPARE.values():
        stream.close()
    tar._SPARE.clear()
    tar._members.cache_clear()


def tarred(*files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return sink.getvalue()


def contents(path: Path) -> list[object]:
    return [found.content for found in read_records(path) if isinstance(found, Record)]


@pytest.mark.parametrize("name", PACKED)
def test_that_rows_come_out_of_every_packing(tmp_path, name):
    half = len(ROWS) // 2
    lines = LINES.splitlines(keepends=True)
    files = [("b/one.jsonl", "".join(lines[:half]).encode()), ("a/two.jsonl", "".join(lines[half:]).encode())]
    (tmp_path / name).write_bytes(PACKED[name](tarred(("README.md", b"# words"), *files)))
    assert contents(tmp_path / name) == ROWS  # in the order of the archive
    found = find_files(tmp_path / name)
    assert [file.name for file in found.files] == ["b/one.jsonl", "a/two.jsonl"]
    assert found.left_out == ["README.md"]
    assert not [*tmp_path.iterdir()][1:]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_that_the_forms_of_headers_and_kinds_of_rows_are_read(tmp_path, form):
    long = "/".join(["folder" * 5] * 3) + "/a.csv"
    data = tarred((long, table().encode()), form=form)
    (tmp_path / "a.tar").write_bytes(data)
    assert contents(tmp_path / "a.tar") == ROWS
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(tarred(("x.parquet", arrow("parquet")), form=form), mtime=0))
    assert contents(tmp_path / "b.tar.gz") == ROWS
    (tmp_path / "c.tar").write_bytes(tarred(("x.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)), form=form))
    assert contents(tmp_path / "c.tar") == ROWS


def entry_of(kind: bytes, name: str = "rows.jsonl", link: str = "") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        good = tarfile.TarInfo("good.jsonl")
        good.size = len(LINES.encode())
        archive.addfile(good, io.BytesIO(LINES.encode()))
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        archive.addfile(entry)
    return sink.getvalue()


@pytest.mark.parametrize("packing", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("kind", "name", "link"),
    [
        (tarfile.REGTYPE, "../rows.jsonl", ""),
        (tarfile.REGTYPE, "a/../../rows.jsonl", ""),
        (tarfile.REGTYPE, "/etc/rows.jsonl", ""),
        (tarfile.REGTYPE, "C:\\rows.jsonl", ""),
        (tarfile.SYMTYPE, "rows.jsonl", "/etc/passwd"),
        (tarfile.LNKTYPE, "rows.jsonl", "good.jsonl"),
        (tarfile.CHRTYPE, "rows.jsonl", ""),
        (tarfile.BLKTYPE, "rows.jsonl", ""),
        (tarfile.FIFOTYPE, "rows.jsonl", ""),
        (tarfile.CONTTYPE, "../rows.jsonl", ""),
        (tarfile.DIRTYPE, "../folder", ""),
    ],
)
def test_that_what_leads_elsewhere_is_refused_whole(tmp_path, packing, kind, name, link):
    path = tmp_path / ("a.tar" if packing is bytes else "a.tar.gz")
    path.write_bytes(packing(entry_of(kind, name, link)))
    with pytest.raises(UserError) as caught:
        contents(path)
    assert caught.value.code == "data.archive_unsafe"
    assert name in caught.value.params["member"]


GOOD = tarred(("a.jsonl", LINES.encode()), ("b.jsonl", LINES.encode()))
SECOND = 512 + -(-len(LINES.encode()) // 512) * 512
"""Where the second header stands, in the form without more headers."""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "data.damaged"),
        (b"no archive at all", "data.damaged"),
        (b"x" * 4096, "data.damaged"),
        (b"\0" * 10240, "data.archive_empty"),
        (GOOD[: SECOND + 300], "data.damaged"),
        (GOOD[: SECOND + 2000], "data.damaged"),
        (GOOD[:SECOND], "data.damaged"),
        (GOOD[:SECOND] + b"x" * 512 + GOOD[SECOND + 512 :], "data.damaged"),
        (tarred(("a.jsonl", b"{}"), ("a.jsonl", b"{}")), "data.damaged"),
        (tarred(("picture.png", b"x")), "data.archive_empty"),
    ],
)
@pytest.mark.parametrize("packing", [bytes, gzip.compress])
def test_that_a_damaged_archive_is_said_to_be_before_a_row_is_taken(tmp_path, packing, data, code):
    path = tmp_path / ("a.tar" if packing is bytes else "a.tar.gz")
    path.write_bytes(packing(data))
    with pytest.raises(UserError) as caught:
        contents(path)
    assert caught.value.code == code


def header(name: str, kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
def test_that_a_header_as_long_as_a_file_is_not_held(tmp_path, kind):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header("x", kind, 200 << 20) + b"7" * (200 << 20), 1, mtime=0))
    code, rows, megabytes = growth(tmp_path / "a.tar.gz")
    assert (code, rows) == ("data.damaged", 0)
    assert megabytes < 120


def test_that_headers_of_headers_without_end_are_refused(tmp_path):
    one = header("x", tarfile.GNUTYPE_LONGNAME, 2) + b"y\0".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(one * 20_000)
    with pytest.raises(UserError, match=r"data\.damaged"):
        contents(tmp_path / "a.tar")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst"])
def test_that_a_bomb_is_refused_in_little_memory(tmp_path, name):
    big = tarred(("a.jsonl", b'{"text": "' + b"x" * (400 << 20)))
    (tmp_path / name).write_bytes(PACKED[name](big))
    del big
    code, rows, megabytes = growth(tmp_path / name)
    assert (code, rows) == ("data.bomb", 0)
    assert megabytes < 220


def test_that_files_that_are_read_in_order_share_one_pass(tmp_path, monkeypatch):
    files = [(f"{number:03}.jsonl", b'{"text": "%d"}\n' % number) for number in range(50)]
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tarred(*files), mtime=0))
    opened = []

    class Counted(tar.TarStream):
        def __init__(self, *arguments) -> None:
            opened.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(tar, "TarStream", Counted)
    assert contents(tmp_path / "a.tar.gz") == [{"text": str(number)} for number in range(50)]
    assert len(opened) == 2  # one pass to see what is there, one to read
    assert all(stream.file.closed for stream in opened)


def test_that_an_import_goes_on_in_the_middle_of_an_archive(tmp_path):
    files = [(f"{name}.jsonl", "".join(f'{{"text": "{name}{n}"}}\n' for n in range(9)).encode()) for name in "abc"]
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tarred(*files), mtime=0))
    feed = FileFeed(tmp_path / "a.tar.gz")
    assert feed.names == ["a.jsonl", "b.jsonl", "c.jsonl"]
    rows = [met.found.content["text"] for met in feed.rows(Place(1, 5))]
    assert rows == [f"b{n}" for n in range(5, 9)] + [f"c{n}" for n in range(9)]
    assert feed.done <= feed.bytes <= (tmp_path / "a.tar.gz").stat().st_size + 3
    assert FileFeed(tmp_path / "a.tar.gz").identity == feed.identity


def test_that_a_look_says_what_an_archive_is(tmp_path):
    path = tmp_path / "rows.tgz"
    path.write_bytes(gzip.compress(tarred(("x/rows.jsonl", LINES.encode("utf-16")), ("x/note.png", b"...")), mtime=0))
    found = inspect(InspectData(source=DataSource(path=str(path)), rows=3))
    assert (found.kind, found.compression, found.encoding) == ("tar", "gzip", "utf-16-le")
    assert found.files == ["x/rows.jsonl"]
    assert found.rows == len(ROWS)
    assert len(found.shown) == 3


def test_that_a_look_into_a_large_archive_does_not_go_through_it(tmp_path):
    rows, much = LINES.encode(), bytes(200 << 20)
    (tmp_path / "a.tar.gz").write_bytes(
        gzip.compress(tarred(("a.jsonl", rows), ("b.jsonl", much), ("c.jsonl", rows)), 1, mtime=0)
    )
    assert [member.name for member in tar.tar_members(tmp_path / "a.tar.gz", "gzip", hurry=0.0)] == ["a.jsonl"]
    assert [found.content for found in read_records(tmp_path / "a.tar.gz", hurry=0.0)] == ROWS
    assert len(tar.tar_members(tmp_path / "a.tar.gz", "gzip")) == 3
