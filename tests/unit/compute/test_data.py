"""Reading datasets: every form and file, bad rows by line, the split, and limits."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny

from engine.compute.data.formats import detect
from engine.compute.data.loading import load_source
from engine.compute.data.preview import preview
from engine.compute.data.rows import Example, with_system
from engine.contract.data import DataSource
from engine.contract.errors import Refused, UserError

ROW = {"messages": [{"role": "user", "content": "q ä 问"}, {"role": "assistant", "content": "a"}]}
FORMS = {
    "messages": ROW,
    "prompt_completion": {"prompt": "q ä 问", "completion": "a"},
    "alpaca": {"instruction": "q ä 问", "input": "", "output": "a"},
    "sharegpt": {"conversations": [{"from": "human", "value": "q ä 问"}, {"from": "gpt", "value": "a"}]},
}


def load(path, **options):
    return load_source(DataSource(path=str(path), **options))


@pytest.mark.parametrize("form", FORMS)
def test_that_each_form_is_recognised_and_means_the_same(tmp_path, form):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [FORMS[form]])
    loaded = load(path)
    assert loaded.form.format == form
    assert loaded.examples[0].turns == tuple(ROW["messages"])
    assert load(path, format=form).examples == loaded.examples


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_that_each_kind_of_file_gives_the_same_rows(tmp_path, suffix, mark):
    rows = [{"prompt": f"q, {n} 问\nnext line", "completion": f'a "{n}"'} for n in range(5)]
    path = tmp_path / f"rows{suffix}"
    table = pa.Table.from_pylist(rows)
    if suffix == ".jsonl":
        path.write_bytes(mark + "\n\n".join(json.dumps(row) for row in rows).encode())
    elif suffix == ".json":
        path.write_bytes(mark + json.dumps(rows, indent=2).encode())
    elif suffix == ".csv":
        quoted = ['"{}","{}"'.format(row["prompt"], row["completion"].replace('"', '""')) for row in rows]
        path.write_bytes(mark + "\n".join(["prompt,completion", *quoted]).encode())
    elif suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    found = load(path).examples
    assert [example.turns[0]["content"] for example in found] == [row["prompt"] for row in rows]
    assert [example.turns[1]["content"] for example in found] == [row["completion"] for row in rows]


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"messages": [{"role": "wizard", "content": "x"}]}, "data.unknown_role", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "data.turn_not_text", "messages[0].content"),
        ({"messages": "text"}, "data.no_turns", "messages"),
        (
            {"messages": [ROW["messages"][0], {"role": "assistant", "content": " "}]},
            "data.empty_answer",
            "messages[1].content",
        ),
        ({"messages": [*ROW["messages"], {"role": "system", "content": "s"}]}, "data.late_system", "messages[2]"),
        ({"messages": ["hello"]}, "data.turn_not_an_object", "messages[0]"),
        ({"other": 1}, "data.unknown_format", ""),
        ({"prompt": "q", "completion": "a"}, "data.other_format", ""),
        ({"messages": [{"role": "user", "content": [{"type": "poem"}]}]}, "data.not_only_text", "messages[0].content"),
    ],
)
def test_that_a_bad_row_names_line_field_reason_and_fix(tmp_path, row, code, field):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [ROW, row, ROW])
    with pytest.raises(Refused) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.code, problem.field) == (2, code, field)
    assert problem.reason
    assert "{" not in str(problem)


def test_that_fifty_bad_rows_are_listed_and_the_rest_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("nonsense\n" * 70 + json.dumps(ROW) + "\n")
    with pytest.raises(Refused) as caught:
        load(path)
    assert len(caught.value.problems) == 50
    assert "70 row(s)" in caught.value.text


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "rows.jsonl", "data.no_rows"),
        (b"\x00\x01\x02" * 50, "rows.jsonl", "data.binary"),
        ('{"a": 1}'.encode("utf-16"), "rows.jsonl", "data.unknown_format"),
        (b'{"prompt": "\xe4", "completion": "x"}', "rows.jsonl", "data.refused"),
        (b"PAR1 not really", "rows.parquet", "data.bad_arrow"),
        (b"garbage", "rows.arrow", "data.bad_arrow"),
        (b"x", "rows.xlsx", "data.unknown_file"),
        (b'{"colour": "red"}', "rows.jsonl", "data.unknown_format"),
        (b"[1, 2", "rows.json", "data.refused"),
        (b"prompt,completion\nonly one\n", "rows.csv", "data.refused"),
        (b'prompt,completion\na,"b\n', "rows.csv", "data.refused"),
        (b'"\xff\xff",b\n', "rows.csv", "data.refused"),
        (b"[" * 100_000, "rows.jsonl", "data.refused"),
        (b"[" * 100_000, "rows.json", "data.refused"),
    ],
)
def test_that_a_bad_file_is_refused_with_a_code(tmp_path, content, name, code):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.code == code
    if code == "data.refused":
        assert preview(path, "auto", 5)["problems"]
    else:
        with pytest.raises(UserError) as caught:
            preview(path, "auto", 5)
        assert caught.value.code == code


def test_that_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing at"):
        load(tmp_path / "none.jsonl")


def test_that_one_huge_line_is_refused_without_reading_it_all(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "')
        os.truncate(path, 0)
        file.write(b"x" * (65 << 20))
    with pytest.raises(Refused) as caught:
        load(path)
    assert caught.value.problems[0].code == "data.line_too_long"


def test_that_a_limit_is_a_seeded_choice(tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(50))
    source = DataSource(path=str(path), limit=10)
    first, second = load_source(source, seed=1).examples, load_source(source, seed=1).examples
    assert first == second
    assert len(first) == 10
    assert [example.line for example in first] == sorted(example.line for example in first)
    assert load_source(source, seed=2).examples != first


def test_that_a_system_prompt_goes_before_conversations_without_one():
    plain, own = Example(turns=tuple(ROW["messages"])), Example(turns=({"role": "system", "content": "own"},))
    first, second = with_system([plain, own], "be kind")
    assert first.turns[0] == {"role": "system", "content": "be kind"}
    assert second.turns == own.turns


def test_that_detection_needs_a_known_column():
    assert detect({"conversations": ROW["messages"]}).format == "messages"
    assert detect({"text": "x"}).format == "text"
    with pytest.raises(UserError, match="colour, size"):
        detect({"colour": 1, "size": 2})


def test_that_a_preview_shows_turns_and_counts_rows(tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [*tiny.make_rows(300), {"messages": []}])
    found = preview(path, "auto", 2)
    assert (found["format"], found["rows"], found["complete"], found["bad_rows"]) == ("messages", 301, True, 1)
    assert found["preview"][0] == [{"role": "user", "text": "say 0"}, {"role": "assistant", "text": "it is 0"}]
    assert len(found["preview"]) == 2
    assert found["problems"][0]["line"] == 301
    assert not preview(path, "auto", 2, seconds=-1)["complete"]
