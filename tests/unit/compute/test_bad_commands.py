"""Files in the control folder that are no commands: answered with an error, and the worker goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.compute.worker.commands import Commands, StopFlag
from engine.compute.worker.journal import Journal
from engine.compute.worker.reporter import Reporter
from engine.contract.events import journal_line


class Ears:
    """What a worker hears with, and the journal it answers in."""

    def __init__(self, folder: Path) -> None:
        self.control = folder / "control"
        self.control.mkdir()
        self.path = folder / "journal.jsonl"
        self.journal = Journal(self.path)
        self.stop = StopFlag()
        self.commands = Commands(self.control, self.stop, Reporter(self.journal).acknowledged)

    def answers(self) -> dict[str, str | None]:
        self.commands.poll()
        lines = [journal_line.validate_json(line) for line in self.path.read_bytes().splitlines()]
        assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
        return {line.command: line.error.code if line.error else None for line in lines}


@pytest.fixture
def ears(tmp_path):
    ears = Ears(tmp_path)
    yield ears
    ears.journal.close()


BAD = {
    "half": b'{"id": "half", "ver',
    "empty": b"",
    "binary": bytes(range(256)),
    "list": b"[]",
    "number": b"7",
    "verb": b'{"id": "verb", "verb": "explode"}',
    "types": b'{"id": 7, "verb": ["stop"]}',
    "deep": b"[" * 60_000,
    "utf16": '{"id": "utf16", "verb": "stop"}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", BAD)
def test_that_a_file_that_is_no_command_is_answered_with_an_error(ears, name):
    (ears.control / f"{name}.json").write_bytes(BAD[name])
    assert ears.answers() == {name: "worker.bad_command"}
    assert ears.answers() == {name: "worker.bad_command"}  # and only once
    assert not ears.stop


def test_that_folders_pipes_links_and_gigabytes_are_answered_without_reading_them(ears, tmp_path):
    (ears.control / "folder.json").mkdir()
    os.mkfifo(ears.control / "pipe.json")
    (tmp_path / "elsewhere").write_text(json.dumps({"id": "link", "verb": "stop"}))
    (ears.control / "link.json").symlink_to(tmp_path / "elsewhere")
    (ears.control / "gone.json").symlink_to(tmp_path / "nowhere")
    (ears.control / "endless.json").symlink_to("/dev/zero")
    with (ears.control / "huge.json").open("wb") as file:
        os.truncate(file.fileno(), 1 << 30)
    names = ("folder", "pipe", "link", "gone", "endless", "huge")
    assert ears.answers() == dict.fromkeys(names, "worker.bad_command")
    assert not ears.stop


def test_that_a_name_that_is_no_text_is_answered(ears):
    with open(os.fsencode(ears.control) + b"/\xff\xfe.json", "wb") as file:
        file.write(b"{")
    assert list(ears.answers().values()) == ["worker.bad_command"]


def test_that_a_good_command_among_bad_ones_is_obeyed(ears):
    for name, content in BAD.items():
        (ears.control / f"{name}.json").write_bytes(content)
    (ears.control / "stop.json").write_text(json.dumps({"id": "stop", "verb": "stop"}))
    answers = ears.answers()
    assert answers.pop("stop") is None
    assert answers == dict.fromkeys(BAD, "worker.bad_command")
    assert ears.stop


@pytest.mark.parametrize("content", [b"", b'{"protocol": 1, "run": "r', b"[]", b"\x00" * 100, b"[" * 100_000])
def test_that_a_half_written_order_ends_the_attempt_with_a_reason(attempt, content):
    made = attempt()
    (made.folder / "order.json").write_bytes(content)
    assert made.run() != 0
    assert (made.end.kind, made.end.state, made.end.error.code) == ("ended", "failed", "worker.bad_order")
    assert made.end.error.fix
