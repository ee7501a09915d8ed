"""The journal: numbered without gaps, whole lines only, and durable."""

import json
import subprocess
import threading

import pytest

from engine.compute.worker.journal import Journal
from engine.contract import events
from engine.contract.errors import UserError
from engine.contract.events import journal_line
from engine.contract.states import Phase
from tests.helpers.disks import full


def lines(path):
    return [journal_line.validate_json(line) for line in path.read_bytes().splitlines()]


def test_that_lines_are_numbered_from_one_without_gaps_by_many_threads(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")

    def write():
        for _ in range(50):
            journal.write(events.Device, values={"cpu.utilisation": 1.0})

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert [line.seq for line in lines(journal.path)] == list(range(1, 401))


@pytest.mark.parametrize(
    "torn", [b'{"v":1,"seq":3,"t":1.0,"ki', b"\x00\x00\x00\x00", b'{"v":1,"seq":9,"t":1,"kind":"phase"}\n', b"}{\n"]
)
def test_that_a_torn_last_line_is_cut_off_and_its_number_used_again(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.write(events.PhaseBegan, phase=Phase.STARTING)
    journal.write(events.PhaseBegan, phase=Phase.LOADING)
    journal.close()
    with path.open("ab") as file:
        file.write(torn)
    journal = Journal(path)
    assert journal.write(events.PhaseBegan, phase=Phase.TRAINING) == 3
    journal.close()
    assert [(line.seq, line.phase) for line in lines(path)] == [(1, "starting"), (2, "loading"), (3, "training")]


def test_that_long_texts_are_shortened_below_the_limit(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(
        events.Sample, when="after", index=0, prompt="问" * 90_000, expected="x" * 90_000, answer="🙂" * 90_000
    )
    problems = [{"code": "data.bad_json", "line": n, "params": {"detail": "d" * 900, "column": 1}} for n in range(50)]
    body = {"code": "data.refused", "what": "w" * 50_000, "problems": problems}
    journal.write(events.Ended, state="failed", reason="bad_data", error=body)
    journal.close()
    raw = journal.path.read_bytes().splitlines(keepends=True)
    assert all(len(line) < events.MAX_LINE_BYTES for line in raw)
    sample, ended = lines(journal.path)
    assert sample.prompt.endswith("…")
    assert len(sample.prompt) > 500
    assert ended.error.code == "data.refused"
    assert len(ended.error.problems) >= 10


def test_that_numbers_that_are_not_finite_survive(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(events.Step, step=1, epoch=0.1, values={"loss": float("nan"), "grad_norm": float("inf")})
    journal.close()
    json.loads(journal.path.read_text())  # valid JSON
    (line,) = lines(journal.path)
    assert line.values["loss"] != line.values["loss"]
    assert line.values["grad_norm"] == float("inf")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB; needs the right to mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("may not mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_that_a_full_disk_is_said_in_the_last_line(small_disk):
    journal = Journal(small_disk / "journal.jsonl")

    def fill():
        for _ in range(10_000):
            journal.write(events.Device, values={f"v{n}": 1.0 for n in range(100)})

    with pytest.raises(UserError, match="disk is full") as caught:
        fill()
    written = journal.seq
    journal.write(events.Ended, state="failed", reason="disk_full", error=caught.value.body())
    journal.close()
    found = lines(small_disk / "journal.jsonl")
    assert [line.seq for line in found] == list(range(1, written + 2))
    assert found[-1].reason == "disk_full"


def test_that_a_patient_journal_waits_for_room(small_disk):
    path = small_disk / "journal.jsonl"
    journal = Journal(path)
    journal.patient = True
    journal.write(events.PhaseBegan, phase="serving")
    with full(small_disk):
        size, read = -1, 0
        while path.stat().st_size != size:  # until the last page is full
            size, read = path.stat().st_size, read + 1
            journal.write(events.Device, values={f"v{n}": 1.0 for n in range(20)})
        assert read > 1
        journal.write(events.Note, level="info", code="serve.idle", params={"minutes": 1})
        journal.write(events.Device, values={"of a full disk": 1.0})
        journal.sync()
        assert path.stat().st_size == size
    journal.write(events.PhaseBegan, phase="saving")
    found = lines(path)
    assert [line.seq for line in found] == list(range(1, len(found) + 1))
    assert [line.kind for line in found] == ["phase", *["device"] * (read - 1), "note", "phase"]
    journal.close()


def test_that_a_patient_journal_has_room_for_its_last_word(small_disk):
    path = small_disk / "journal.jsonl"
    journal = Journal(path)
    journal.patient = True
    with full(small_disk):
        journal.write(events.Ready, host="h", port=1)
        for number in range(2000):
            told = {"minutes": number, "more": "m" * 900}
            journal.write(events.Note, level="info", code="serve.idle", params=told)
        journal.write(events.Ended, state="stopped", reason="stopped_by_person")
    journal.close()
    assert lines(path)[-1].reason == "stopped_by_person"
    assert lines(path)[-2].params["minutes"] == 1999, "the newest of what waited has room too"
    assert "ready" in [line.kind for line in lines(path)], "a turn is kept though it waited longest"
    assert [line.seq for line in lines(path)] == list(range(1, len(lines(path)) + 1))


def test_that_what_is_no_line_keeps_no_other_from_being_told(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.patient = True
    with pytest.raises(ValueError, match="ready has"):
        journal.write(events.Ready, host="h", port=1, models=["m" * events.MAX_LINE_BYTES])
    journal.write(events.PhaseBegan, phase="serving")
    journal.close()
    assert [line.kind for line in lines(tmp_path / "journal.jsonl")] == ["phase"]
