"""Formats of rows: recognised in samples of public documentation, read for what they say, refused by reason."""

from __future__ import annotations

import json

import pytest
import tiny
from format_samples import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compute.data.formats import BadRow, convert, detect_format
from engine.compute.data.loading import load_source
from engine.compute.data.rows import Record
from engine.compute.training.stages import STAGES
from engine.contract.data import READABLE_FORMATS, DataSource
from engine.contract.data_format import FORMATS, PARTS, TEACHES, Mapping
from engine.contract.errors import UserError
from engine.contract.messages import MESSAGES
from engine.contract.stages import stages_for

ROLES = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def read(row: dict, form: str, mapping: Mapping | None = None):
    return convert(Record(1, row), form, 0, mapping or Mapping())


@pytest.mark.parametrize("name", SAMPLES)
def test_that_a_sample_of_the_documentation_is_recognised_and_read(name):
    sample = SAMPLES[name]
    best, *_ = detect_format([Record(1, sample.row)])
    assert (best.format, best.fits) == (sample.format, 1.0)
    assert MESSAGES[best.code].what.format(**best.params)
    example = read(sample.row, best.format)
    assert [(turn["role"], turn["content"]) for turn in example.turns] == sample.said
    for field, value in sample.more.items():
        assert getattr(example, field) == value
    assert example.teaches == TEACHES[sample.format]


def test_that_samples_cover_every_format():
    assert {sample.format for sample in SAMPLES.values()} == set(FORMATS)


def test_that_calls_of_tools_are_objects_however_they_are_written():
    expected = [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]
    for turn in (
        {"role": "assistant", "content": None, "tool_calls": expected},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": '{"x": 1}'}]},
        {"role": "assistant", "content": None, "tool_calls": json.dumps(expected)},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x": 1}'}},
        {"role": "tool_call", "content": '{"name": "f", "parameters": {"x": 1}}', "loss": None},
    ):
        example = read({"messages": [ROLES[0], turn, {"role": "tool", "content": "1"}, ROLES[1]]}, "messages")
        assert example.turns[1] == {"role": "assistant", "content": "", "tool_calls": expected}


def test_that_a_call_in_words_stays_a_text():
    rows = [{"from": "human", "value": "q"}, {"from": "function_call", "value": "f(1)"}, {"from": "gpt", "value": "a"}]
    assert read({"conversations": rows}, "sharegpt").turns[1] == {"role": "assistant", "content": "f(1)"}


@pytest.mark.parametrize(("key", "no", "yes"), [("train", False, True), ("loss", 0.0, 1.0), ("weight", 0, 1)])
def test_that_a_message_says_whether_it_is_learned(key, no, yes):
    turns = [ROLES[0], {**ROLES[1], key: no}, ROLES[0], {**ROLES[1], key: yes}, ROLES[0], {**ROLES[1], key: None}]
    assert [turn.get("train") for turn in read({"messages": turns}, "messages").turns[1::2]] == [False, True, None]
    with pytest.raises(BadRow) as caught:
        read({"messages": [ROLES[0], {**ROLES[1], key: "maybe"}]}, "messages")
    assert (caught.value.code, caught.value.where) == ("data.bad_train_key", f"messages[1].{key}")


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_that_thoughts_are_kept_beside_the_answer(key):
    answer = read({"messages": [ROLES[0], {**ROLES[1], key: "hm"}]}, "messages").turns[1]
    assert answer == {**ROLES[1], "reasoning_content": "hm"}
    assert read({"messages": [ROLES[0], {**ROLES[1], key: None}]}, "messages").turns[1] == ROLES[1]


def test_that_parts_of_text_are_joined_and_media_are_noted():
    parts = [
        {"type": "text", "text": "What is ", "image_url": None},
        {"type": "image_url", "text": None, "image_url": {"url": "data:…"}},
        {"type": "text", "text": "this?", "image_url": None},
        {"type": "input_audio", "input_audio": {}},
    ]
    example = read({"messages": [{"role": "user", "content": parts}, ROLES[1]]}, "messages")
    assert example.turns[0]["content"] == "What is this?"
    assert example.media == ("audio", "image")


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({"images": ["/xxx/x.jpg"]}, "image"),
        ({"picture": {"bytes": b"..", "path": "x.png"}}, "image"),
        ({"audio": {"path": "x.wav", "sampling_rate": 16000}}, "audio"),
        ({"videos": ["x.mp4"]}, "video"),
        ({"images": [], "image": None}, None),
        ({"note": "x.png"}, None),
    ],
)
def test_that_columns_of_media_are_noted(extra, kind):
    assert read({"messages": ROLES, **extra}, "messages").media == ((kind,) if kind else ())


def test_that_a_run_says_that_media_are_not_learned(tmp_path):
    rows = [{"messages": ROLES, "images": ["x.png"]}, {"messages": ROLES}]
    loaded = load_source(DataSource(path=str(tiny.write_jsonl(tmp_path / "rows.jsonl", rows))))
    assert (loaded.rows, loaded.media) == (2, 1)


BAD = {
    "no role is known": ({"messages": [{"a": 1}]}, "messages", "data.turn_keys", "messages[0]"),
    "history of one": ({"query": "q", "response": "r", "history": [["q"]]}, "query_response", "data.bad_history",
                       "history[0]"),
    "history in words": ({"query": "q", "response": "r", "history": "before"}, "query_response", "data.bad_history",
                         "history"),
    "no answer in a list": ({"query": "q", "response": []}, "query_response", "data.empty_column", "response"),
    "tools in words": ({"messages": ROLES, "tools": "a hammer"}, "messages", "data.bad_tools", "tools"),
    "a verdict in words": ({"prompt": "p", "completion": "c", "label": "so so"}, "kto", "data.bad_verdict", "label"),
    "a label that is an object": ({"text": "t", "label": {"a": 1}}, "classification", "data.bad_label", "label"),
    "a score in words": ({"anchor": "a", "positive": "b", "score": "high"}, "pairs", "data.bad_score", "score"),
    "an empty negative": ({"anchor": "a", "positive": "b", "negative": ["c", " "]}, "pairs", "data.empty_column",
                          "negative[1]"),
    "nothing preferred": ({"messages": ROLES[:1], "rejected": "x"}, "preference", "data.no_chosen", "chosen"),
    "nothing rejected": ({"prompt": "p", "chosen": "x", "rejected": None}, "preference", "data.empty_column",
                         "rejected"),
    "an empty answer": ({"instruction": "i", "output": " "}, "alpaca", "data.empty_column", "output"),
    "another format": ({"instruction": "i", "output": "o"}, "messages", "data.other_format", ""),
    "no format": ({"colour": "red"}, "messages", "data.unknown_format", ""),
    "a late system": ({"messages": [*ROLES, {"role": "system", "content": "s"}]}, "messages", "data.late_system",
                      "messages[2]"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_that_a_row_that_does_not_fit_says_where_and_why(name):
    row, form, code, where = BAD[name]
    with pytest.raises(BadRow) as caught:
        read(row, form)
    assert (caught.value.code, caught.value.where or "") == (code, where or caught.value.where)
    problem = caught.value.problem(7)
    assert problem.reason
    assert problem.fix
    assert "{" not in problem.reason.replace("{}", "")
    assert caught.value.kind != "malformed"


def test_that_a_mapping_overrides_names_roles_and_keys():
    row = {"frage": "q", "antwort": "a", "instruction": "other", "output": "other"}
    mapping = Mapping(columns={"instruction": "frage", "output": "antwort"})
    best, *_ = detect_format([Record(1, row)], mapping)
    assert best.format == "alpaca"
    assert [turn["content"] for turn in read(row, "alpaca", mapping).turns] == ["q", "a"]
    turns = [{"wer": "Kundin", "was": "q", "x": "long" * 9}, {"wer": "Notiz", "was": "n", "x": ""},
             {"wer": "Amt", "was": "a", "x": ""}]  # fmt: skip
    mapping = Mapping(
        columns={"messages": "verlauf"}, role_key="wer", content_key="was",
        roles={"Kundin": "user", "Amt": "assistant", "Notiz": "leave_out"},
    )  # fmt: skip
    assert read({"verlauf": turns}, "sharegpt", mapping).turns == tuple(ROLES)


@pytest.mark.parametrize(
    "text",
    ['[{"name": "Ada", "type": "person"}]', '{"from": "Berlin", "to": "Paris"}', '{"role": "engineer"}', "[1, 2]"],
)
def test_that_an_answer_in_json_is_a_text(text):
    rows = [{"prompt": text, "completion": text}, {"prompt": "p", "chosen": text, "rejected": "b"}]
    for row, form in zip(rows, ("prompt_completion", "preference"), strict=True):
        best, *_ = detect_format([Record(1, row)])
        assert (best.format, best.fits) == (form, 1.0)
        example = read(row, form)
        assert [turn["content"] for turn in (*example.turns, *example.chosen)][-1] == text
    assert read({"prompt": text}, "prompt_only").turns == ({"role": "user", "content": text},)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "(" * 5000, "[" + "(" * 300, "[1" + "0" * 5000 + "]"]
)
def test_that_text_that_only_begins_like_a_list_does_no_harm(text):
    for form in ("messages", "prompt_completion", "query_response"):
        detect_format([Record(1, {"messages": text}), Record(2, {"query": "q", "response": "r", "history": text})])
        with pytest.raises(BadRow):
            read({"messages": text, "prompt": text, "history": text, "query": "q", "response": "r"}, form)


def test_that_the_case_of_names_matters_only_where_both_are_there():
    best, *_ = detect_format([Record(1, {"Question": "q", "ANSWER": "a"})])
    assert (best.format, best.fits) == ("query_response", 1.0)
    for row in ({"Prompt": "no", "prompt": "p", "completion": "c"}, {"prompt": "p", "completion": "c", "Prompt": "no"}):
        assert read(row, "prompt_completion").turns[0]["content"] == "p"


def test_that_runners_up_are_named_too():
    found = detect_format([Record(1, {"prompt": "p", "chosen": "c", "rejected": "r", "completion": "x"})])
    assert [reason.format for reason in found][:2] == ["preference", "prompt_completion"]
    assert detect_format([Record(1, {"colour": "red"})]) == []


def test_that_most_rows_decide_and_the_others_are_counted():
    rows = [Record(n, {"messages": ROLES}) for n in range(8)] + [Record(9, {"text": "t"}), Record(10, {"text": "t"})]
    best, other = [reason for reason in detect_format(rows) if reason.format in ("messages", "text")]
    assert (best.format, best.fits, other.format, other.fits) == ("messages", 0.8, "text", 0.2)


@pytest.mark.parametrize("name", [name for name in SAMPLES if TEACHES[SAMPLES[name].format] != "text"])
def test_that_sft_learns_from_conversations_only(tmp_path, name):
    sample = SAMPLES[name]
    teaches = TEACHES[sample.format]
    assert (sample.format in READABLE_FORMATS) == bool(stages_for(teaches))
    examples = [read(sample.row, sample.format)]
    if teaches == "conversation":
        STAGES["sft"].check(examples)
        return
    with pytest.raises(UserError, match=sample.format) as caught:
        STAGES["sft"].check(examples)
    assert caught.value.code == "data.not_for_stage"


texts = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40).filter(str.strip)
names = st.text("abcdefgh_XYZ列", min_size=9, max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_that_renamed_columns_with_a_mapping_give_the_same_rows(name, data):
    sample = SAMPLES[name]
    parts = {part.name: part.columns for part in PARTS[sample.format]}
    playing = {
        part: next(column for column in columns if sample.row.get(column) is not None)
        for part, columns in parts.items()
        if any(sample.row.get(column) is not None for column in columns)
    }
    fresh = data.draw(st.lists(names, min_size=len(playing), max_size=len(playing), unique=True))
    renamed = dict(zip(playing, fresh, strict=True))
    back = {playing[part]: new for part, new in renamed.items()}
    row = {back.get(column, column): value for column, value in sample.row.items()}
    if len(set(playing.values())) < len(playing):
        return  # one column plays two parts
    assert read(row, sample.format, Mapping(columns=renamed)) == read(sample.row, sample.format)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(sorted(SAMPLES)), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_that_the_order_of_columns_and_keys_changes_nothing(chosen, chance):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(key, shuffled(item)) for key, item in value.items()]
            chance.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    rows = [Record(n, SAMPLES[name].row) for n, name in enumerate(chosen)]
    others = [Record(n, shuffled(row.content)) for n, row in enumerate(rows)]
    assert detect_format(others) == detect_format(rows)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
columns_of_any_format = sorted({column for parts in PARTS.values() for part in parts for column in part.columns})


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(columns_of_any_format) | st.text(max_size=6), json_values, max_size=6),
    st.sampled_from(FORMATS),
)
def test_that_no_row_is_read_in_any_way_but_whole_or_refused(row, form):
    detect_format([Record(1, row)])
    refusal: BadRow | None = None
    try:
        example = read(row, form)
    except BadRow as error:
        refusal = error
    if refusal is not None:
        assert refusal.problem(1).reason
        return
    assert all(isinstance(turn["content"], str) for turn in (*example.turns, *example.chosen, *example.rejected))
    assert example.characters >= 0
    assert example.fingerprint == read(row, form).fingerprint
