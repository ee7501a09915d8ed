"""Rows of files of every kind: the same rows from each, read in little memory, and what is wrong named."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compute.data.kinds import is_chinese
from engine.compute.data.rows import Record
from engine.compute.data.sources import read_records
from engine.contract.errors import Problem, UserError

ROWS = [{"prompt": f"问题 {n}，请回答", "completion": '第一行\nsecond, "quoted"'} for n in range(700)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
ARRAY = json.dumps(ROWS, ensure_ascii=False, indent=1)


def table(delimiter: str = ",", end: str = "\r\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["prompt", "completion"], delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


def zipped(name: str, data: str | bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, data)
    return sink.getvalue()


def arrow(kind: str) -> bytes:
    sink, rows = pa.BufferOutputStream(), pa.Table.from_pylist(ROWS)
    if kind == "parquet":
        pq.write_table(rows, sink, row_group_size=100)
    elif kind == "feather":
        pyarrow.feather.write_feather(rows, sink)
    else:
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=64)
    return sink.getvalue().to_pybytes()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "utf-8": ("a.jsonl", LINES.encode),
    "utf-8 with a mark": ("a.ndjson", lambda: LINES.encode("utf-8-sig")),
    "line ends of Windows": ("a.jsonl", lambda: LINES.replace("\n", "\r\n").encode()),
    "line ends mixed": ("a.jsonl", lambda: LINES.replace("\n", "\r\n", 300).encode()),
    "no end of the last line": ("a.jsonl", lambda: LINES.rstrip("\n").encode()),
    "utf-16": ("a.jsonl", lambda: LINES.encode("utf-16")),
    "utf-16-be without a mark": ("a.jsonl", lambda: LINES.encode("utf-16-be")),
    "utf-32": ("a.jsonl", lambda: LINES.encode("utf-32")),
    "gb18030": ("a.jsonl", lambda: LINES.encode("gb18030")),
    "an array": ("a.json", ARRAY.encode),
    "an array in utf-16": ("a.json", lambda: ARRAY.encode("utf-16")),
    "an array in gb18030": ("a.json", lambda: ARRAY.encode("gb18030")),
    "an array on one line": ("a.json", lambda: json.dumps(ROWS).encode()),
    "lines in a .json": ("a.json", LINES.encode),
    "objects over many lines": ("a.json", lambda: "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()),
    "an object around": ("a.json", lambda: json.dumps({"version": "1", "data": ROWS}).encode()),
    "an object around, over many lines": ("a.json", lambda: json.dumps({"data": ROWS, "n": 1}, indent=2).encode()),
    "CSV": ("a.csv", lambda: table().encode()),
    "CSV with semicolons": ("a.csv", lambda: table(";").encode()),
    "CSV with tabs": ("a.csv", lambda: table("\t").encode()),
    "CSV in utf-16": ("a.csv", lambda: table().encode("utf-16")),
    "CSV in gb18030": ("a.csv", lambda: table().encode("gb18030")),
    "TSV": ("a.tsv", lambda: table("\t", "\n").encode()),
    "Parquet": ("a.parquet", lambda: arrow("parquet")),
    "Feather": ("a.feather", lambda: arrow("feather")),
    "an Arrow stream": ("a.arrow", lambda: arrow("stream")),
    "gzip": ("a.jsonl.gz", lambda: gzip.compress(LINES.encode(), mtime=0)),
    "gzip, two members": ("a.jsonl.gz", lambda: gzip.compress(LINES.encode()[:9]) + gzip.compress(LINES.encode()[9:])),
    "zstd": ("a.json.zst", lambda: pa.compress(ARRAY.encode(), codec="zstd", asbytes=True)),
    "bzip2": ("a.csv.bz2", lambda: bz2.compress(table().encode())),
    "xz": ("a.jsonl.xz", lambda: lzma.compress(LINES.encode())),
    "Parquet in gzip": ("a.parquet.gz", lambda: gzip.compress(arrow("parquet"), mtime=0)),
    "zip": ("a.zip", lambda: zipped("inner/a.jsonl", LINES)),
    "Parquet in a zip": ("a.zip", lambda: zipped("a.parquet", arrow("parquet"))),
}  # fmt: skip


def read(path: Path, **options) -> list[Record | Problem]:
    return list(read_records(path, **options))


@pytest.mark.parametrize("name", FILES)
def test_that_the_same_rows_come_from_every_kind_of_file(tmp_path, name):
    file, data = FILES[name]
    (tmp_path / file).write_bytes(data())
    found = read(tmp_path / file)
    assert [record.content for record in found if isinstance(record, Record)] == ROWS
    assert len(found) == len(ROWS)


@pytest.mark.parametrize("count", [1, 3])
def test_that_an_encoding_that_was_named_is_believed(tmp_path, count):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(('{"text": "爱"}\n' * count).encode("gb18030"))
    assert all(isinstance(found, Problem) for found in read(path))  # too little to be told from other encodings
    assert [found.content for found in read(path, encoding="gb18030")] == [{"text": "爱"}] * count


SAMPLES = {
    "gb18030": ("今天天气很好，我们去公园玩。小明说他不想去，因为他要在家里学习。", True),
    "euc-kr": ("안녕하세요 저는 한국 사람입니다. 오늘 날씨가 좋네요. 우리 함께 공부합시다.", False),
    "big5": ("今天天氣很好，我們去公園玩。小明說他不想去，因為他要在家裡學習。", False),
    "shift_jis": ("今日は天気がいいですね。公園に行きましょう。カタカナも使います。", False),
    "euc-jp": ("今日は天気がいいですね。公園に行きましょう。カタカナも使います。", False),
    "cp1251": ("Сегодня хорошая погода, и мы идём гулять в парк.", False),
    "cp1252": ("Übergröße für alle – “très bien”, señor", False),
}


@pytest.mark.parametrize("encoding", SAMPLES)
@pytest.mark.parametrize("times", [1, 50])
def test_that_gb18030_is_told_from_its_kin(encoding, times):
    text, chinese = SAMPLES[encoding]
    assert is_chinese((text * times).encode(encoding)) is chinese


CUT = {
    "gzip": ("a.jsonl.gz", gzip.compress, "data.truncated"),
    "bzip2": ("a.jsonl.bz2", bz2.compress, "data.truncated"),
    "xz": ("a.jsonl.xz", lzma.compress, "data.truncated"),
    "zstd": ("a.jsonl.zst", lambda data: pa.compress(data, codec="zstd", asbytes=True), "data.truncated"),
    "zip": ("a.zip", lambda data: zipped("a.jsonl", data), "data.damaged"),
}


@pytest.mark.parametrize("name", CUT)
def test_that_a_packed_file_that_is_cut_says_how_far_it_could_be_read(tmp_path, name):
    file, pack, code = CUT[name]
    data = pack(LINES.encode())
    (tmp_path / file).write_bytes(data[: len(data) * 2 // 3])
    rows = list[object]()
    with pytest.raises(UserError) as caught:
        rows.extend(read_records(tmp_path / file))
    assert caught.value.code == code
    if code == "data.truncated":
        assert caught.value.params["rows"] == len(rows)


def test_that_what_lies_packed_and_damaged_is_refused(tmp_path):
    data = bytearray(gzip.compress(LINES.encode(), mtime=0))
    data[len(data) // 2 :] = bytes(len(data) // 2)
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.jsonl.gz")
    assert caught.value.code in ("data.damaged", "data.truncated")


def unsafe(name: str, mode: int = 0, content: str = "{}") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        packed.writestr("good.jsonl", '{"text": "a"}')
        packed.writestr(entry, content)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../out.jsonl", 0),
        ("a/../../out.jsonl", 0),
        ("/etc/out.jsonl", 0),
        ("..\\out.jsonl", 0),
        ("C:\\out.jsonl", 0),
        ("link.jsonl", stat.S_IFLNK | 0o777),
        ("pipe.jsonl", stat.S_IFIFO | 0o777),
    ],
)
def test_that_an_archive_that_leads_elsewhere_is_refused_whole(tmp_path, name, mode):
    (tmp_path / "a.zip").write_bytes(unsafe(name, mode))
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.zip")
    assert caught.value.code == "data.archive_unsafe"


def test_that_an_archive_without_rows_or_with_a_lock_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped("picture.png", b"x"))
    with pytest.raises(UserError, match=r"data\.archive_empty"):
        read(tmp_path / "a.zip")
    data = bytearray(zipped("rows.jsonl", LINES))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"data\.archive_locked"):
        read(tmp_path / "a.zip")


GROWTH = """
import resource, sys
from pathlib import Path
from engine.compute.data.sources import read_records
from engine.contract.errors import UserError
list(read_records(Path(sys.argv[2])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
last, rows = "", 0
try:
    for found in read_records(Path(sys.argv[1])):
        rows, last = rows + 1, getattr(found, "code", "")
except UserError as error:
    last = error.code
print(last or "-", rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def growth(path: Path) -> tuple[str, int, int]:
    """What reading a file ends with, how many rows came, and by how many MB memory grew."""
    warm = path.with_name("warm.jsonl")
    warm.write_text(LINES)
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(path), str(warm)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    code, rows, megabytes = done.stdout.split()
    return code, int(rows), int(megabytes)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.zip", "a.parquet.gz"])
def test_that_a_bomb_is_refused_in_little_memory(tmp_path, name):
    path = tmp_path / name
    big = b'{"text": "' + b"x" * (400 << 20)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(big, 6, mtime=0))
    elif name.endswith(".zip"):
        path.write_bytes(zipped("a.jsonl", big))
    else:
        path.write_bytes(pa.compress(big, codec="zstd", asbytes=True))
    code, rows, megabytes = growth(path)
    assert (code, rows) == ("data.bomb", 0)
    assert megabytes < 220


def test_that_an_array_larger_than_memory_should_be_is_read_piece_by_piece(tmp_path):
    path, row = tmp_path / "rows.json", json.dumps({"text": "word " * 400})
    with path.open("w") as file:
        file.write("[" + row)
        for _ in range(100_000):
            file.write("," + row)
        file.write("]")
    code, rows, megabytes = growth(path)
    assert (code, rows) == ("-", 100_001)
    assert megabytes < 60


def test_that_a_line_that_is_no_row_does_not_hide_those_behind_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'\n{"text": "b"}\n')
    found = read(path)
    assert [getattr(entry, "code", "row") for entry in found] == ["row", "data.line_too_long", "row"]
    assert found[2].line == 3


def test_that_a_table_of_10_000_columns_is_read(tmp_path):
    names = [f"c{n}" for n in range(10_000)]
    text = ",".join(names) + "\n" + ",".join(names) + "\n" + "x," * 9_998 + "x\n"
    (tmp_path / "rows.csv").write_text(text)
    first, second = read(tmp_path / "rows.csv")
    assert first.content["c9999"] == "c9999"
    assert second.code == "data.csv_columns"


def test_that_a_bad_line_of_a_csv_spoils_its_row_only(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b'a,b\n1,2\n"x\n\xff",3\n4,"5\n6"\n\x00,1\n7,8\n')
    found = read(tmp_path / "rows.csv")
    assert [getattr(entry, "code", None) or entry.content for entry in found] == [
        {"a": "1", "b": "2"},
        "data.bad_bytes",
        {"a": "4", "b": "5\n6"},
        "data.zero_byte",
        {"a": "7", "b": "8"},
    ]


def test_that_paragraphs_are_rows_and_a_bad_line_spoils_its_own(tmp_path):
    (tmp_path / "text.txt").write_bytes("one\nstill one\n\n\n二\n\nthree ".encode() + b"\xff\n\nfour")
    found = read(tmp_path / "text.txt")
    assert [getattr(entry, "code", None) or (entry.line, entry.content["text"]) for entry in found] == [
        (1, "one\nstill one"),
        (5, "二"),
        "data.bad_bytes",
        (9, "four"),
    ]


def test_that_values_json_does_not_know_are_kept_as_texts(tmp_path):
    import datetime as dt
    from decimal import Decimal

    row = {"text": "a", "day": dt.date(2026, 1, 2), "cost": Decimal("1.50"), "raw": b"\x00\xff", "nan": float("nan"),
           "tags": ["x"], "map": {"k": 1}}  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    (found,) = read(tmp_path / "rows.parquet")
    assert found.content == {"text": "a", "day": "2026-01-02", "cost": "1.50", "raw": {"base64": "AP8="}, "nan": None,
                             "tags": ["x"], "map": {"k": 1}}  # fmt: skip


def test_that_texts_beside_tables_and_hidden_files_are_no_rows(tmp_path):
    for name in ("b.jsonl", "sub/a.jsonl", ".cache/c.jsonl", "sub/.d.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}))
    (tmp_path / "notes.txt").write_text("not a row")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [found.content["text"] for found in read(tmp_path)] == ["b.jsonl", "sub/a.jsonl"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
objects = st.lists(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), values, min_size=1, max_size=4))


@settings(max_examples=60, deadline=None)
@given(
    objects, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), st.sampled_from(["lines", "array", "held"]),
    st.booleans(), st.sampled_from([None, 1]),
)  # fmt: skip
def test_that_any_rows_come_back_as_they_were(tmp_path_factory, rows, encoding, form, ascii_only, indent):
    path = tmp_path_factory.mktemp("rows") / ("rows.jsonl" if form == "lines" else "rows.json")
    if form == "lines":
        text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    else:
        text = json.dumps(rows if form == "array" else {"data": rows}, ensure_ascii=ascii_only, indent=indent)
    path.write_bytes(text.encode(encoding))
    if form == "held" and not rows:
        return
    assert [getattr(found, "content", found) for found in read(path)] == rows


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=20), st.sampled_from(",;\t|"))
def test_that_any_table_comes_back_as_it_was(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b", "c"])
        writer.writerows(rows)
    found = read(path)
    assert [tuple(record.content.values()) for record in found] == rows
