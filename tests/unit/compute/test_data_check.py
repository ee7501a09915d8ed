"""Looking a file of rows through without keeping anything."""

import json

import pytest

from engine.compute.worker import data_check


def look(path, *arguments):
    return data_check.answer([str(path), *arguments])


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = '{"instruction": "a", "output": "b"}\n{"instruction": "c", "output": "d"}\n'
    path.write_text(good + 'no row\n{"instruction": "", "output": "x"}\n')
    return path


def test_that_rows_in_are_rows_kept_and_rows_refused(rows):
    found = look(rows)
    assert (found["format"], found["rows"], found["refused"]) == ("alpaca", 2, 2)
    assert found["problems"]["malformed"] == found["problems"]["empty"] == 1
    assert set(found["columns"]) == {"instruction", "output"}
    refused = [one for one in found["listed"] if one["severity"] == "refused"]
    assert [one["line"] for one in refused] == [3, 4]
    assert refused[1]["excerpt"] == '{"instruction": "", "output": "x"}'


def test_that_a_format_may_be_given(rows):
    assert look(rows, "--format", "text")["rows"] == 0


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "data.no_rows"), (b"no row\n", "data.refused"), (b"\x1f\x8bnothing", None)]
)
def test_that_what_cannot_be_used_is_an_error_with_a_code(tmp_path, content, code):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    error = look(path)["error"]
    assert error["code"] == code or (code is None and error["code"].startswith("data."))
    assert look(tmp_path / "none.jsonl")["error"]["code"] == "data.missing"
    assert look(path, "--mapping", "nonsense")["error"]["code"] == "query.invalid"


def test_that_only_the_answer_stands_on_stdout(rows, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["data_check", str(rows)])
    assert data_check.main() == 0
    assert json.loads(capsys.readouterr().out)["format"] == "alpaca"
