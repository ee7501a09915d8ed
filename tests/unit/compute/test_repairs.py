"""Repairs: each removes or changes what it says, and nothing else."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compute.data.checks import Checker
from engine.compute.data.checks.repairs import apply, fingerprint
from engine.compute.data.formats import convert
from engine.compute.data.rows import Record
from engine.contract.data_format import Mapping
from engine.contract.datasets import CheckOptions, Repair, RowProblem

ESCAPE = "\x1b"


def talk(question: str, answer: str, **columns) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **columns}


def problem(kind: str, **params) -> RowProblem:
    return RowProblem(kind=kind, severity="warning", line=1, code="checks.x", params=params)


def repaired(row: dict, *repairs: Repair, problems: tuple[RowProblem, ...] = ()) -> dict | None:
    record = Record(4, row)
    before = copy.deepcopy(row)
    found = apply(repairs, record, convert(record, "messages"), problems)
    assert row == before  # the row that came is never touched
    assert found is None or found.line == 4
    return found.content if found else None


def test_that_rows_with_the_named_problems_are_dropped():
    drop = Repair(kind="drop", problems=["private", "mojibake"])
    row = talk("q", "a")
    assert repaired(row, drop, problems=(problem("mojibake"),)) is None
    assert repaired(row, drop, problems=(problem("repetition"),)) == row
    assert repaired(row, drop) == row
    assert repaired(row, Repair(kind="drop"), problems=(problem("private"),)) == row


def test_that_only_repeated_rows_go():
    row = talk("q", "a")
    assert repaired(row, Repair(kind="deduplicate"), problems=(problem("duplicate"),)) is None
    assert repaired(row, Repair(kind="deduplicate"), problems=(problem("near_duplicate", share=0.95),)) == row
    near = Repair(kind="deduplicate", near=0.9)
    assert repaired(row, near, problems=(problem("near_duplicate", share=0.95),)) is None
    assert repaired(row, near, problems=(problem("near_duplicate", share=0.85),)) == row


def test_that_the_rows_named_go_or_stay():
    row, other = talk("q", "a"), talk("q", "b")
    name = fingerprint(Record(1, row))
    assert repaired(row, Repair(kind="exclude", rows=[name])) is None
    assert repaired(other, Repair(kind="exclude", rows=[name])) == other
    assert repaired(row, Repair(kind="keep", rows=[name])) == row
    assert repaired(other, Repair(kind="keep", rows=[name])) is None


def test_that_trimming_leaves_calls_schemas_and_roles_alone():
    call = {"function": {"name": "f", "arguments": {"x": " 1 "}}}
    row = talk(" q\n", "\ta b ", tools=[{"name": " f ", "parameters": {}}], note=" n ")
    row["messages"].append({"role": "assistant", "content": " ", "tool_calls": [call]})
    found = repaired(row, Repair(kind="trim"))
    assert [turn["content"] for turn in found["messages"]] == ["q", "a b", ""]
    assert found["messages"][2]["tool_calls"] == [call]
    assert (found["tools"], found["note"]) == (row["tools"], "n")


def test_that_cleaning_takes_controls_away_and_puts_encodings_right():
    found = repaired(talk(f"red {ESCAPE}[31m", "CafÃ© donâ€™t\u200b"), Repair(kind="clean"))
    assert [turn["content"] for turn in found["messages"]] == ["red [31m", "Café don’t"]


@pytest.mark.parametrize("kind", ["trim", "clean"])
def test_that_a_repair_with_problems_changes_only_rows_that_have_them(kind):
    row = talk(" q \x01", " a \x02")
    repair = Repair(kind=kind, problems=["control_characters"])
    assert repaired(row, repair) == row
    assert repaired(row, repair, problems=(problem("control_characters"),)) != row


def test_that_repairs_come_one_after_another():
    row = talk(" \x01 q", "a")
    found = repaired(row, Repair(kind="clean"), Repair(kind="trim"), Repair(kind="drop", problems=["leak"]))
    assert found == talk("q", "a")


texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)


@settings(max_examples=150, deadline=None)
@given(texts, texts.filter(str.strip), st.booleans())
def test_that_what_was_repaired_needs_no_repair(question, answer, trims):
    row = talk(question, answer)
    repair = Repair(kind="trim" if trims else "clean")
    record = Record(1, row)
    once = apply([repair], record, convert(record, "messages"), [])
    assert once is not None
    twice = apply([repair], once, convert(record, "messages"), [])
    assert twice is once
    if trims:
        assert [turn["content"] for turn in once.content["messages"]] == [question.strip(), answer.strip()]
    elif question.isascii() and question.isprintable() and answer.isascii() and answer.isprintable():
        assert once is record


def test_that_a_cleaned_row_is_remarked_on_no_more():
    record = Record(1, talk("q", f"CafÃ© {ESCAPE}[0m au lait, s’il vous plaît"))
    options = CheckOptions(near_duplicates=None, languages=False)

    def kinds(row: Record) -> set[str]:
        return {found.kind for found in Checker("messages", Mapping(), options).look(0, row, convert(row, "messages"))}

    assert kinds(record) == {"control_characters", "mojibake"}
    cleaned = apply([Repair(kind="clean")], record, convert(record, "messages"), [])
    assert cleaned is not None
    assert kinds(cleaned) == set()
