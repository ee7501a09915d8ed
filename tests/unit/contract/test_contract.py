"""Errors, journal lines, stream messages, ids and durable files."""

from __future__ import annotations

import json
import os
import threading

import pytest
from pydantic import ValidationError

from engine.contract.durable import write_durably, write_json
from engine.contract.errors import ErrorBody, NotFound, Problem, UserError, render
from engine.contract.events import MAX_LINE_BYTES, journal_line
from engine.contract.ids import new_id
from engine.contract.messages import MESSAGES
from engine.contract.paths import Home, resources_folder
from engine.contract.states import ENDED, LIVE, RunState
from engine.contract.stream import stream_message


def test_that_every_message_says_something_and_ends_like_a_sentence():
    for code, message in MESSAGES.items():
        assert message.what or message.why, code
        for part in (message.what, message.why, message.fix):
            assert not part or part.endswith((".", "}", "?", ")")), f"{code}: {part}"


def test_that_an_error_survives_the_wire():
    error = NotFound("run.unknown", run="abc", problems=[Problem(code="config.missing", field="name")])
    again = UserError.from_body(ErrorBody.model_validate_json(error.body().model_dump_json()))
    assert again.text == error.text
    assert "'abc'" in again.what
    assert "[run.unknown]" in again.text


def test_that_a_missing_parameter_does_not_hide_the_message():
    assert render("needs {gb} GB of {what}", {"gb": 3}) == "needs 3 GB of {what}"


def test_that_values_that_are_no_numbers_travel():
    line = journal_line.validate_python(
        {"seq": 1, "t": 1.0, "kind": "step", "step": 3, "epoch": 0.5, "values": {"loss": float("nan")}}
    )
    text = line.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    again = journal_line.validate_json(text)
    assert again.values["loss"] != again.values["loss"]


@pytest.mark.parametrize(
    "text", ["{}", '{"kind": "step"}', '{"kind": "nonsense", "seq": 1, "t": 0}', "[]", '{"seq": 0}']
)
def test_that_a_line_of_another_form_is_refused(text):
    with pytest.raises(ValidationError):
        journal_line.validate_json(text)


def test_that_a_newer_worker_may_say_more():
    line = journal_line.validate_json('{"seq":1,"t":0,"kind":"phase","phase":"loading","mood":"good"}')
    assert line.phase == "loading"
    assert MAX_LINE_BYTES < 16_384


def test_that_stream_messages_are_told_apart_by_type():
    message = stream_message.validate_json('{"type":"points","run":"r","attempt":1,"points":{"loss":[[1,2,"NaN"]]}}')
    assert message.points["loss"][0][0] == 1


def test_that_ids_sort_by_age_and_never_repeat():
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert [made[:9] for made in ids] == sorted(made[:9] for made in ids)


def test_that_states_are_either_live_ended_or_waiting():
    assert not LIVE & ENDED
    assert set(RunState) - LIVE - ENDED == {RunState.DRAFT, RunState.QUEUED, RunState.PAUSED}


def test_that_a_file_is_replaced_whole(tmp_path):
    file = tmp_path / "a" / "settings.json"
    write_json(file, {"n": 0}, mode=0o600)
    assert file.stat().st_mode & 0o777 == 0o600
    seen, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(json.loads(file.read_text())["n"])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        write_json(file, {"n": number, "pad": "x" * 5000})
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert os.listdir(file.parent) == ["settings.json"]


def test_that_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "f"
    write_durably(file, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_that_forge_home_names_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "h"))
    home = Home.find()
    assert home.attempt("u", 2).journal == tmp_path / "h" / "runs" / "u" / "attempts" / "2" / "journal.jsonl"
    assert resources_folder().is_dir()
