"""Runs over rows of other formats: conversations are learned from whatever their columns are called, others refused."""

from __future__ import annotations

import csv
import json

import pytest
import tiny

from engine.compute.data.loading import load_source
from engine.contract.data import DataSource
from engine.contract.errors import Refused

TURNS = [{"role": "user", "content": "q, 问"}, {"role": "assistant", "content": "a\nb"}]


def test_that_query_and_response_are_trained_under_any_of_their_names(attempt):
    rows = [{"problem": f"say {n}", "solution": f"it is {n}", "history": [["hi", "hello"]]} for n in range(40)]
    run = attempt(rows)
    assert run.run() == 0
    assert run.end.kind == "ended"
    (note,) = [line for line in run.of("note") if line.code == "data.read"]
    assert (note.params["format"], note.params["rows"]) == ("query_response", 40)


def test_that_preferences_are_refused_by_sft_with_the_reason(attempt):
    run = attempt([{"prompt": "p", "chosen": "c", "rejected": f"r{n}"} for n in range(40)])
    assert run.run() != 0
    assert (run.end.error.code, run.end.error.params["format"]) == ("data.not_for_stage", "preference")


def test_that_a_mapping_is_used_when_rows_are_loaded(tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"frage": "q, 问", "antwort": "a\nb"}] * 3)
    source = DataSource(path=str(path), mapping={"columns": {"query": "frage", "response": "antwort"}})
    loaded = load_source(source)
    assert (loaded.form.format, loaded.examples[0].turns) == ("query_response", tuple(TURNS))
    given = DataSource(path=str(path), format="prompt_completion",
                       mapping={"columns": {"prompt": "frage", "completion": "antwort"}})  # fmt: skip
    assert load_source(given).examples[0].turns == tuple(TURNS)


def test_that_lists_in_a_csv_file_are_read(tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["messages", "id"], [json.dumps(TURNS), 1], [str(TURNS), 2]])
    loaded = load_source(DataSource(path=str(path)))
    assert [example.turns for example in loaded.examples] == [tuple(TURNS)] * 2


@pytest.mark.parametrize("first", [0, 1])
def test_that_files_of_two_formats_are_refused_by_line(tmp_path, first):
    rows = [{"messages": TURNS}] * 4
    rows.insert(first * 4, {"instruction": "i", "output": "o"})
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(Refused) as caught:
        load_source(DataSource(path=str(path)))
    (problem,) = caught.value.problems
    assert (problem.line, problem.code) == (first * 4 + 1, "data.other_format")
    assert "alpaca" in problem.reason
