"""Datasets nobody meant to give: refused whole, by line, in plain words, without hanging or a pile of memory."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from helpers import ROOT

from engine.compute.data.loading import load_source
from engine.compute.data.preview import preview
from engine.compute.data.sources import READERS, read_records
from engine.contract.data import DataSource
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.preflight import DATA_SUFFIXES

ROW = {"prompt": "问 q", "completion": "a"}
GOOD = json.dumps(ROW, ensure_ascii=False)


def load(path: Path, **options):
    return load_source(DataSource(path=str(path), **options))


def previewed(path: Path, form: str) -> tuple[str | None, list[str]]:
    """The error a preview ends with, or the problems it lists."""
    try:
        return None, [found["code"] for found in preview(path, form, 3)["problems"]]
    except UserError as error:
        return error.code, []


def refusal(path: Path, **options) -> UserError:
    """What a run says of the dataset; the wizard's preview says the same or lists the same problems."""
    with pytest.raises(UserError) as caught:
        load(path, **options)
    error = caught.value
    code, listed = previewed(path, options.get("format", "auto"))
    assert code in (None, error.code)
    assert listed == [found.code for found in error.problems]
    for text in (error.text, *map(str, error.problems)):
        assert not re.search(r"\{\w+\}", text)
    assert error.what
    assert error.fix
    return error


def problems(path: Path, **options) -> list[tuple[int | None, str]]:
    error = refusal(path, **options)
    assert error.code == "data.refused", error.text
    assert all(problem.reason and problem.fix for problem in error.problems)
    return [(problem.line, problem.code) for problem in error.problems]


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([ROW]), sink)
    return sink.getvalue().to_pybytes()


def arrow_file(rows: int = 3000) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist([{"prompt": f"q {n}", "completion": "a"} for n in range(rows)])
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    return sink.getvalue().to_pybytes()


BINARY = {
    "a PNG": (png(), "data.other_kind"),
    "an ELF": (Path(sys.executable).resolve().read_bytes()[:20_000], "data.other_kind"),
    "gzip": (gzip.compress(GOOD.encode(), mtime=0), "data.packed"),
    "a zip": (b"PK\x03\x04" + b"\x14\x00" * 40, "data.packed"),
    "Parquet": (parquet(), "data.other_kind"),
    "random bytes": (random.Random(4).randbytes(20_000), "data.binary"),
    "zeros": (b"\0" * 5000, "data.binary"),
}


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".txt"])
@pytest.mark.parametrize("name", BINARY)
def test_that_what_is_no_text_is_refused_for_what_it_is(tmp_path, name, suffix):
    content, code = BINARY[name]
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == code
    assert str(path) in error.text


LINES = {
    "a malformed line": ('{"prompt": "a", completion: 1}', "data.bad_json", 2),
    "a line cut off": (GOOD[:-4], "data.bad_json", 2),
    "a bare number": ("7", "data.not_an_object", 2),
    "a key that stands twice": ('{"prompt": "a", "prompt": "b", "completion": "c"}', "data.key_twice", 2),
    "a column missing": ('{"prompt": "a"}', "data.missing_column", 2),
    "other columns": ('{"question": "a", "answer": "b"}', "data.other_format", 2),
    "an empty object": ("{}", "data.missing_column", 2),
    "a null": ('{"prompt": null, "completion": "b"}', "data.empty_column", 2),
    "not a number": ('{"prompt": NaN, "completion": "b"}', "data.not_text", 2),
    "a number out of range": ('{"prompt": 1e999, "completion": "b"}', "data.not_text", 2),
    "a number of 5,000 digits": ('{"prompt": ' + "1" * 5000 + "}", "data.number_too_long", 2),
    "deep nesting": ('{"prompt": ' + "[" * 100_000, "data.too_deep", 2),
    "half a character": ('{"prompt": "\\ud83d", "completion": "b"}', "data.half_character", 2),
    "a zero byte": ('{"prompt": "a\0", "completion": "b"}', "data.zero_byte", 2),
    "a control character": ('{"prompt": "a\x01", "completion": "b"}', "data.bad_json", 2),
}


@pytest.mark.parametrize("name", LINES)
def test_that_a_bad_line_is_named(tmp_path, name):
    text, code, line = LINES[name]
    path = tmp_path / "rows.jsonl"
    before = "\n".join([GOOD] * 200) if "zero" in name else GOOD  # beyond what is looked at first
    path.write_text(f"{before}\n{text}\n{GOOD}\n")
    line += before.count("\n")
    assert problems(path) == [(line, code)]


def test_that_a_malformed_line_names_its_column(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{GOOD}\n\n{{"prompt": "a", completion: 1}}\n')
    (problem,) = refusal(path).problems
    assert (problem.line, problem.params["column"]) == (3, 17)
    assert "column 17" in str(problem)


@pytest.mark.parametrize(
    ("encoding", "text", "code"),
    [
        ("latin-1", "Übergröße für alle", "data.bad_bytes"),
        ("cp1252", "“quoted” – so", "data.bad_bytes"),
    ],
)
def test_that_another_encoding_is_named_by_line(tmp_path, encoding, text, code):
    path = tmp_path / "rows.jsonl"
    row = json.dumps({"prompt": text, "completion": "a"}, ensure_ascii=False)
    path.write_bytes(f'{{"prompt": "plain", "completion": "b"}}\n{row}\n'.encode(encoding))
    assert problems(path) == [(2, code)]


def test_that_one_line_of_another_encoding_is_named_for_what_it_looks_like(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = json.dumps({"prompt": "请将日期写成标准格式", "completion": "a"}, ensure_ascii=False)
    path.write_bytes(f"{GOOD}\n".encode() + f"{row}\n".encode("gb18030"))
    assert problems(path) == [(2, "data.bytes_gb18030")]


@pytest.mark.parametrize("content", ["", "\n", "\n \n\t\n", "\ufeff", "[]", "prompt,completion\n"])
def test_that_a_dataset_without_rows_is_refused(tmp_path, content):
    suffix = {"[": ".json", "p": ".csv"}.get(content[:1], ".jsonl")
    path = tmp_path / f"rows{suffix}"
    path.write_text(content)
    assert refusal(path).code == "data.no_rows"


def test_that_a_first_row_without_known_columns_does_not_hide_the_other_problems(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{half\n{{"colour": 1}}\n{GOOD}\n{{"prompt": 3, "completion": "x"}}\n')
    assert problems(path) == [(1, "data.bad_json"), (2, "data.unknown_format"), (4, "data.not_text")]
    path.write_text('{"colour": 1}\n' * 3)
    assert refusal(path).code == "data.unknown_format"
    path.write_text('{"colour": 1}\n' * 100_000)
    assert refusal(path).code == "data.unknown_format"


@pytest.mark.parametrize("role", [["user"], {"a": 1}, None, 7])
def test_that_a_role_that_is_no_text_is_a_bad_row(tmp_path, role):
    row = {"messages": [{"role": role, "content": "x"}, {"role": "assistant", "content": "y"}]}
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [row])
    assert problems(path) == [(1, "data.unknown_role")]


CSV = {
    "an unbalanced quote": ("prompt,completion\n" + "a,b\n" * 3 + 'a,"b\n' + "c,d\n" * 50, [(5, "data.bad_csv")]),
    "too few columns": ("prompt,completion\na\nb,c\n", [(2, "data.csv_columns")]),
    "too many columns": ("prompt,completion\na,b,c\n", [(2, "data.csv_columns")]),
    "a column twice": ("prompt,completion,prompt\na,b,c\n", [(1, "data.column_twice")]),
    "bad bytes": (b"prompt,completion\na,b\n\xff\xff,d\ne,f\n", [(3, "data.bad_bytes")]),
    "bad bytes in a quoted value": (b'prompt,completion\na,"b\n\xff\xff"\n', [(3, "data.bad_bytes")]),
}


@pytest.mark.parametrize("name", CSV)
def test_that_bad_csv_is_named_by_line(tmp_path, name):
    content, expected = CSV[name]
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert problems(path) == expected


ARRAYS = {
    "cut off": (f"[\n{GOOD},\n{GOOD[:9]}", [(3, "data.bad_json")]),
    "cut off after a comma": (f"[\n{GOOD},\n", [(3, "data.bad_json")]),
    "a key twice": ('[{"prompt": "a", "prompt": "b", "completion": "c"}]', [(1, "data.key_twice")]),
    "deep": ("[" * 200_000, [(1, "data.too_deep")]),
    "half a character": (f'[{GOOD}, {{"prompt": "\\udc00", "completion": "b"}}]', [(2, "data.half_character")]),
    "numbers": ("[1, 2]", [(1, "data.not_an_object"), (2, "data.not_an_object")]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_that_a_bad_json_array_is_named_by_line(tmp_path, name):
    text, expected = ARRAYS[name]
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert problems(path) == expected


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_that_a_cut_table_is_refused_and_no_row_comes_twice(tmp_path, suffix, share):
    whole = parquet() if suffix == ".parquet" else arrow_file()
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert refusal(path).code == "data.bad_arrow"


@pytest.mark.parametrize("seed", range(30))
def test_that_a_damaged_table_never_ends_the_process(tmp_path, seed):
    chance = random.Random(seed)
    suffix, whole = chance.choice([(".parquet", parquet()), (".arrow", arrow_file(200))])
    content = bytearray(whole)
    for _ in range(20):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(UserError):  # anything else is a bug
        load(path)


def test_that_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jsonl"))
        (tmp_path / "device.jsonl").symlink_to("/dev/zero")
        for name in ("pipe", "socket", "device"):
            assert refusal(tmp_path / f"{name}.jsonl").code == "data.not_a_file"
    assert refusal(tmp_path).code == "data.empty_folder"  # in a folder they are no datasets


def test_that_links_to_nothing_and_loops_of_links_are_refused(tmp_path):
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "target.jsonl")
    error = refusal(tmp_path / "gone.jsonl")
    assert (error.code, error.params["target"]) == ("data.dangling_link", str(tmp_path / "target.jsonl"))
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    assert refusal(tmp_path / "loop.jsonl").code == "data.unreadable"
    assert refusal(tmp_path / ("x" * 300 + ".jsonl")).code == "data.unreadable"
    assert refusal(tmp_path / "none.jsonl").code == "data.missing"


AS_NOBODY = """
import os, sys
from engine.compute.data.loading import load_source
from engine.contract.data import DataSource
from engine.contract.errors import UserError
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # now: the interpreter may lie where others cannot read
for path in sys.argv[1:]:
    try:
        load_source(DataSource(path=path))
    except UserError as error:
        print(error.code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_that_a_file_of_somebody_else_is_refused_in_plain_words():
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        locked = folder / "locked"
        locked.mkdir(mode=0o700)
        for file in (folder / "rows.jsonl", locked / "rows.jsonl"):
            file.write_text(GOOD)
        (folder / "rows.jsonl").chmod(0o600)
        paths = [str(folder / "rows.jsonl"), str(locked / "rows.jsonl"), str(locked)]
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, *paths], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["data.unreadable"] * 3, done.stderr


@pytest.mark.parametrize("change", ["cut", "longer", "replaced", "gone"])
def test_that_a_file_that_changes_while_it_is_read_is_refused(tmp_path, change):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{GOOD}\n" * 20_000)
    rows = read_records(path)
    next(rows)
    if change == "cut":
        os.truncate(path, 100_000)
    elif change == "longer":
        with path.open("a") as file:
            file.write(f"{GOOD}\n")
    elif change == "replaced":
        (tmp_path / "new").write_text(f"{GOOD}\n" * 20_000)
        (tmp_path / "new").rename(path)
    else:
        path.unlink()
    with pytest.raises(UserError) as caught:
        for _ in rows:
            pass
    assert caught.value.code == ("data.missing" if change == "gone" else "data.changed")


def test_that_an_arrow_file_cut_while_it_is_read_does_not_kill_the_process(tmp_path):
    path = tmp_path / "rows.arrow"
    path.write_bytes(arrow_file())
    rows = read_records(path)
    next(rows)
    os.truncate(path, 3000)
    with pytest.raises(UserError) as caught:
        for _ in rows:
            pass
    assert caught.value.code == "data.bad_arrow"


GROWTH = """
import resource, sys
from pathlib import Path
from engine.compute.data.sources import read_records
import engine.compute.data.sources as sources
path = Path(sys.argv[1])
warm = path.with_name("warm" + path.suffix)
list(read_records(warm))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = list(read_records(path))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(found[-1].code, found[-1].line, (after - before) >> 10)
"""


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt", ".json"])
def test_that_a_line_of_400_megabytes_is_named_and_not_read_whole(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    first = {".csv": b"text\nrow\n", ".txt": b"some\n\n"}.get(suffix, b'{"text": "x"}\n{"text": "y"}\n')
    (tmp_path / f"warm{suffix}").write_bytes(first)
    with path.open("wb") as file:
        file.write(first)
        for _ in range(400):
            file.write(b"x" * (1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    code, line, megabytes = done.stdout.split()
    assert (code, line) == ("data.line_too_long", "3")
    assert int(megabytes) < 200  # the limit of a line is 64


@pytest.mark.slow
def test_that_200_000_problems_are_counted_and_fifty_are_listed(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("nonsense\n" * 200_000)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: earlier tests may have had a higher one
    before = peak_kilobytes()
    with pytest.raises(Refused) as caught:
        load(path)
    error = caught.value
    assert (error.params["count"], len(error.problems)) == (200_000, 50)
    assert "200000 row(s)" in error.text
    assert (peak_kilobytes() - before) >> 10 < 50


def peak_kilobytes() -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def test_that_the_controllers_check_knows_the_same_files():
    assert set(DATA_SUFFIXES) == set(READERS)


def test_that_a_file_that_grows_as_quickly_as_it_is_read_is_refused_in_the_end(tmp_path):
    path, read = tmp_path / "rows.jsonl", []
    path.write_text(f"{GOOD}\n" * 50)

    def read_and_write():
        for found in read_records(path):
            read.append(found)
            assert len(read) <= 50
            with path.open("a") as file:
                file.write(f"{GOOD}\n" * 10)

    with pytest.raises(UserError) as caught:
        read_and_write()
    assert len(read) == 50
    assert caught.value.code == "data.changed"
    assert isinstance(Problem(code="data.zero_byte", params={"at": 1}).reason, str)
