"""`inspect_data`: what a place holds, from its head alone, whatever its size and whatever is wrong with it."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from format_samples import SAMPLES
from test_checks import version

from engine.compute.data.inspect import LOOKED_ROWS, inspect
from engine.compute.data.place import encoding_of, look_at_place
from engine.compute.worker.queries import answer
from engine.contract.api import QueryRequest
from engine.contract.dataset_queries import InspectData, Inspection
from engine.contract.errors import UserError
from engine.contract.messages import MESSAGES


def look(path: Path, rows: int = 20, **source) -> Inspection:
    params = {"source": {"path": str(path), **source}, "rows": rows, "seconds": 8}
    reply = answer(QueryRequest(kind="inspect_data", params=params).model_dump_json())
    assert reply.error is None, reply.error
    found = Inspection.model_validate(reply.result)
    for problem in found.problems:
        message = MESSAGES[problem.code]
        assert (message.why or message.what).format_map({**problem.params})
    return found


def refusal(path: Path, **source) -> str:
    with pytest.raises(UserError) as caught:
        inspect(InspectData.model_validate({"source": {"path": str(path), **source}}))
    return caught.value.code


@pytest.mark.parametrize("name", SAMPLES)
def test_that_a_file_of_any_format_is_told_and_shown(tmp_path, name):
    sample = SAMPLES[name]
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [sample.row])
    found = look(path)
    assert (found.kind, found.rows, found.refused, found.looked_at) == ("jsonl", 1, 0, 1)
    assert found.chosen is not None
    assert (found.chosen.format, found.chosen.fits) == (sample.format, 1.0)
    assert {column.name for column in found.columns} == set(sample.row)
    (shown,) = found.shown
    said = [(turn.role, turn.text) for turn in shown.turns if not turn.part]
    for (role, text), (expected_role, expected) in zip(said, sample.said, strict=False):
        assert role == expected_role
        assert text == expected or not expected  # a call is shown in place of nothing
    assert set(found.mapping.columns.values()) <= set(sample.row)
    again = look(path, format=sample.format, mapping=found.mapping.model_dump())
    assert again.shown == found.shown
    assert again.chosen.code == "format.given"


def test_that_sides_and_what_is_learned_are_shown(tmp_path):
    rows = [{"prompt": "p", "chosen": "good", "rejected": "bad", "score": 3}]
    (shown,) = look(tiny.write_jsonl(tmp_path / "a.jsonl", rows)).shown
    assert [(turn.role, turn.part, turn.text) for turn in shown.turns] == [
        ("user", "", "p"), ("assistant", "chosen", "good"), ("assistant", "rejected", "bad"),
    ]  # fmt: skip
    assert shown.extra == {"score": "3"}
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 0},
             {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]  # fmt: skip
    (shown,) = look(tiny.write_jsonl(tmp_path / "b.jsonl", [{"messages": turns}])).shown
    assert [turn.trained for turn in shown.turns] == [None, False, None, None]


def test_that_columns_of_media_are_told_once(tmp_path):
    rows = [{"text": f"t{n}", "image": "cat.png"} for n in range(3)]
    (problem,) = look(tiny.write_jsonl(tmp_path / "rows.jsonl", rows)).problems
    assert (problem.kind, problem.severity, problem.column) == ("not_trained_media", "note", "image")
    assert problem.params == {"column": "image", "kind": "image", "rows": 3}


def test_that_only_the_head_of_a_large_file_is_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = json.dumps(tiny.make_rows(1)[0]) + "\n"
    count = (24 << 20) // len(line)
    with path.open("w") as file:
        for _ in range(count // 1000):
            file.write(line * 1000)
    found = look(path)
    assert (found.rows, found.looked_at) == (None, LOOKED_ROWS)
    assert found.rows_estimated == pytest.approx(count // 1000 * 1000, rel=0.02)


def test_that_tables_say_how_many_rows_they_have(tmp_path):
    table = pa.Table.from_pylist([{"prompt": f"p{n}", "completion": "c"} for n in range(5000)])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    for name in ("rows.parquet", "rows.arrow"):
        found = look(tmp_path / name, rows=3)
        assert (found.rows, found.looked_at, len(found.shown)) == (5000, LOOKED_ROWS, 3)
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(3):
        pq.write_table(table, folder / f"{number}.parquet")
    found = look(folder)
    assert (found.kind, found.rows, found.files) == ("folder", 15000, ["0.parquet", "1.parquet", "2.parquet"])


def test_that_a_version_is_read_as_it_was_imported(tmp_path):
    rows = [{"prompt": "p", "completion": f"c{n}"} for n in range(3)]
    folder = version(tmp_path / "v", rows, "prompt_completion")
    found = look(folder)
    assert (found.kind, found.rows, found.chosen.format, found.chosen.code) == (
        "version", 3, "prompt_completion", "format.of_version",
    )  # fmt: skip
    assert found.refused == 0


def test_that_problems_of_the_head_are_listed_with_kind_and_line(tmp_path):
    rows = tiny.make_rows(3)
    mail = [{"role": "user", "content": "mail jane@uni.edu"}, {"role": "assistant", "content": "done"}]
    others = [{"messages": []}, {"instruction": "i", "output": "o"}, rows[0], {"messages": mail}]
    lines = [json.dumps(rows[0]), "half {", *map(json.dumps, others)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    found = look(path)
    assert [(problem.line, problem.kind, problem.severity) for problem in found.problems] == [
        (2, "malformed", "refused"), (3, "empty", "refused"), (4, "unknown_format", "refused"),
        (5, "duplicate", "warning"), (6, "private", "warning"),
    ]  # fmt: skip
    assert (found.refused, found.rows, found.looked_at) == (3, 6, 6)
    assert found.problems[2].params["found"] == "alpaca"
    assert found.chosen.fits == pytest.approx(3 / 5)


def test_that_a_file_of_an_unknown_format_says_so_for_each_row(tmp_path):
    found = look(tiny.write_jsonl(tmp_path / "rows.jsonl", [{"colour": "red"}] * 3))
    assert (found.chosen, found.others, found.refused) == (None, [], 3)
    assert {problem.kind for problem in found.problems} == {"unknown_format"}
    assert [column.name for column in found.columns] == ["colour"]


def test_that_what_cannot_be_read_at_all_is_refused(tmp_path):
    assert refusal(tmp_path / "none.jsonl") == "data.missing"
    (tmp_path / "empty.jsonl").write_text("\n")
    assert refusal(tmp_path / "empty.jsonl") == "data.no_rows"
    (tmp_path / "rows.xyz").write_text("x")
    assert refusal(tmp_path / "rows.xyz") == "data.unknown_file"
    assert refusal(tmp_path, hub="huggingface") == "data.not_here"


def test_that_a_mapping_of_the_request_is_kept(tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"frage": "q", "antwort": "a", "thema": "x"}])
    assert look(path).chosen is None
    found = look(path, mapping={"columns": {"query": "frage", "response": "antwort"}})
    assert (found.chosen.format, found.chosen.code, found.chosen.fits) == ("query_response", "format.mapped", 1.0)
    assert found.mapping.columns == {"query": "frage", "response": "antwort"}
    assert found.shown[0].extra == {"thema": "x"}


TEXT = '{"prompt": "请将日期写成标准格式", "completion": "好的，没有问题"}\n' * 20


@pytest.mark.parametrize(
    ("raw", "encoding", "code"),
    [
        (TEXT.encode(), "utf-8", "inspect.encoding_utf8"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "utf-8", "inspect.encoding_marked"),
        (TEXT.encode("utf-16"), "utf-16-le", "inspect.encoding_marked"),
        (('{"text": "some row"}\n' * 50).encode("utf-16-be"), "utf-16-be", "inspect.encoding_zeros"),
        (TEXT.encode("gb18030"), "gb18030", "inspect.encoding_chinese"),
        (("Übergröße für alle\n" * 20).encode("latin-1"), "", "inspect.encoding_unknown"),
    ],
)  # fmt: skip
def test_that_encodings_are_told_with_the_reason(raw, encoding, code):
    assert encoding_of(raw) == (encoding, code)
    assert encoding_of(raw, "utf-8") == ("utf-8", "inspect.encoding_given")


def test_that_packed_files_are_told_from_outside(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in tiny.make_rows(20_000)).encode()
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    place = look_at_place(tmp_path / "rows.jsonl.gz")
    assert (place.kind, place.compression, place.encoding) == ("jsonl", "gzip", "utf-8")
    assert place.bytes / place.bytes_a_row == pytest.approx(20_000, rel=0.2)
    with zipfile.ZipFile(tmp_path / "rows.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/rows.jsonl", lines)
        archive.writestr("a/picture.png", b"..")
    place = look_at_place(tmp_path / "rows.zip")
    assert (place.kind, place.files, place.encoding) == ("zip", ["a/rows.jsonl"], "utf-8")
    (tmp_path / "cut.jsonl.gz").write_bytes(b"\x1f\x8b\x08")
    assert look_at_place(tmp_path / "cut.jsonl.gz").kind == "jsonl"


def test_that_ten_thousand_columns_are_no_trouble(tmp_path):
    names = ["prompt", "completion", *(f"c{n}" for n in range(9_998))]
    path = tmp_path / "rows.csv"
    path.write_text(",".join(names) + "\n" + (",".join(["x"] * len(names)) + "\n") * 3)
    found = look(path)
    assert (found.chosen.format, found.rows, len(found.columns)) == ("prompt_completion", 3, 10_000)
    assert len(found.shown[0].extra) == 50
