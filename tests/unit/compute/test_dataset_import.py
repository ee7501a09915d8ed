"""Imports by a worker: rows become a version, wrong ones are reported, and another attempt goes on after the last."""

from __future__ import annotations

import gzip
import json
import random
import zipfile
from pathlib import Path

import pytest
import tiny
from helpers import Attempt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from importing import Slow, import_job, write_attempt

from engine.compute.data.rows import Record
from engine.compute.data.sources import read_records
from engine.compute.data.store import open_version
from engine.compute.worker.commands import StopFlag
from engine.contract.datasets import MANIFEST
from engine.contract.paths import HOME_VARIABLE, Home
from tests.helpers.disks import small_disk


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return Home.find()


def made(attempt: Attempt):
    """The line that says a version is there, and that version."""
    (line,) = attempt.of("dataset")
    return line, open_version(Home.find().dataset(line.hash))


def rows_of(version) -> list[dict]:
    return [record.content for record in version.records()]


def test_that_a_file_becomes_a_version(home, tmp_path):
    rows = tiny.make_rows(2500)
    path = tiny.write_jsonl(tmp_path / "chat.jsonl", rows)
    attempt = write_attempt(home, import_job(path))
    assert attempt.run() == 0, attempt.end
    line, version = made(attempt)
    assert (line.rows, line.refused, line.format) == (2500, 0, "messages")
    assert rows_of(version) == rows
    assert version.record(1700).content == rows[1700]
    assert version.record(1700).line == 1701
    assert len(version.characters) == 2500
    assert int(version.characters.sum()) == version.manifest.characters
    manifest = version.manifest
    assert [(column.name, column.kind, column.filled) for column in manifest.columns] == [("messages", "turns", 1.0)]
    assert (manifest.files, manifest.encoding, manifest.source_bytes) == (["chat.jsonl"], "utf-8", path.stat().st_size)
    assert [path.name for path in home.datasets.iterdir()] == [line.hash]
    assert [record.content for record in read_records(version.folder) if isinstance(record, Record)] == rows
    kinds = [entry.kind for entry in attempt.journal]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["dataset", "ended"]


def test_that_wrong_rows_are_left_out_and_each_is_reported(home, tmp_path):
    good = json.dumps(tiny.make_rows(1)[0])
    path = tmp_path / "rows.jsonl"
    lines = [good, "{half", '{"messages": []}', '{"messages": [{"role": "pope", "content": "x"}]}', good + " ", "7"]
    path.write_text("\n".join(lines) + "\n\n" + '{"messages": "text"}\n')
    attempt = write_attempt(home, import_job(path))
    assert attempt.run() == 0
    line, version = made(attempt)
    assert (line.rows, line.refused) == (2, 5)
    found = [problem for _, problem in version.problems()]
    refused = [(problem.line, problem.kind, problem.code) for problem in found if problem.severity == "refused"]
    assert [number for number, _, _ in refused] == [2, 3, 4, 6, 8]
    assert refused[0] == (2, "malformed", "data.bad_json")
    assert all(problem.row is None and problem.file == "rows.jsonl" for problem in found if problem.row is None)
    assert version.manifest.problems["malformed"] == 2
    assert sum(1 for problem in found if problem.severity == "refused") == version.manifest.refused


def test_that_the_same_rows_are_the_same_version_from_whatever_file(home, tmp_path):
    rows = [{"prompt": f"问 {n}", "completion": "a\nb"} for n in range(50)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    files = {
        "a.jsonl": text.encode(),
        "b.json": json.dumps(rows, indent=2).encode("utf-16"),
        "c.jsonl.gz": gzip.compress(text.encode("gb18030"), mtime=0),
        "d.csv": ("prompt;completion\n" + "".join(f'问 {n};"a\nb"\n' for n in range(50))).encode("utf-8-sig"),
    }
    hashes = set()
    for number, (name, data) in enumerate(files.items()):
        (tmp_path / name).write_bytes(data)
        attempt = write_attempt(home, import_job(tmp_path / name), run=f"r{number}")
        assert attempt.run() == 0, attempt.end
        hashes.add(made(attempt)[0].hash)
    assert len(hashes) == 1
    assert [note.code for note in attempt.of("note")] == ["data.encoding_marked", "data.there_already", "data.imported"]


def test_that_another_mapping_or_format_is_another_version(home, tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"text": "a", "prompt": "b", "completion": "c"}])
    hashes = []
    for number, form in enumerate(("text", "prompt_completion")):
        attempt = write_attempt(home, import_job(path, format=form), run=f"r{number}")
        assert attempt.run() == 0
        hashes.append(made(attempt)[0].hash)
    assert hashes[0] != hashes[1]


def test_that_a_folder_and_an_archive_are_read_whole_in_order(home, tmp_path):
    folder = tmp_path / "data"
    for name in ("b/2.jsonl", "a/1.jsonl", ".git/x.jsonl", "a/.hidden.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tiny.write_jsonl(folder / name, [{"text": name}])
    (folder / "README.md").write_text("about")
    (folder / "cover.png").write_bytes(b"x")
    attempt = write_attempt(home, import_job(folder))
    assert attempt.run() == 0
    _, version = made(attempt)
    assert [row["text"] for row in rows_of(version)] == ["a/1.jsonl", "b/2.jsonl"]
    (note,) = [note for note in attempt.of("note") if note.code == "data.left_out"]
    assert note.params["names"] == "README.md, cover.png"
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(tmp_path))
    again = write_attempt(home, import_job(tmp_path / "data.zip"), run="r2")
    assert again.run() == 0
    assert made(again)[0].hash == version.manifest.hash


def test_that_an_upload_is_read_under_its_own_name(home):
    upload = home.uploads / "u1"
    upload.mkdir(parents=True)
    tiny.write_jsonl(upload / "mine.jsonl", [{"text": "a"}])
    attempt = write_attempt(home, import_job("u1", kind="upload"))
    assert attempt.run() == 0
    assert made(attempt)[1].manifest.files == ["mine.jsonl"]
    gone = write_attempt(home, import_job("u2", kind="upload"), run="r2")
    assert gone.run() == 1
    assert gone.end.error.code == "data.upload_missing"


def test_that_a_version_is_repaired_into_another_and_lines_stay(home, tmp_path):
    rows = [{"text": "a"}, {"text": "b"}, {"text": "a"}, {"text": "c"}]
    first = write_attempt(home, import_job(tiny.write_jsonl(tmp_path / "rows.jsonl", rows)))
    assert first.run() == 0
    line, version = made(first)
    assert version.manifest.problems == {"duplicate": 1}
    job = import_job(line.hash, kind="version", repairs=[{"kind": "deduplicate"}])
    second = write_attempt(home, job, run="r2")
    assert second.run() == 0, second.end
    _, repaired = made(second)
    assert [(record.line, record.content["text"]) for record in repaired.records()] == [(1, "a"), (2, "b"), (4, "c")]
    assert (repaired.manifest.parent, repaired.manifest.files) == (line.hash, ["rows.jsonl"])
    assert repaired.manifest.format == version.manifest.format


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("rows.jsonl", b"", "data.no_rows"),
        ("rows.jsonl", b"{half\nnonsense\n", "data.nothing_kept"),
        ("rows.jsonl", b'{"colour": 1}\n', "data.unknown_format"),
        ("rows.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 9, mtime=0)[:-9], "data.truncated"),
        ("rows.zip", b"PK\x03\x04" + b"0" * 99, "data.damaged"),
        ("rows.png", b"x", "data.unknown_file"),
        ("rows.jsonl", b"\x89PNG\r\n\x1a\n", "data.other_kind"),
    ],
)
def test_that_what_cannot_be_imported_is_refused_and_nothing_half_made_stays(home, tmp_path, name, data, code):
    (tmp_path / name).write_bytes(data)
    attempt = write_attempt(home, import_job(tmp_path / name))
    assert attempt.run() == 1
    assert (attempt.end.error.code, attempt.end.reason) == (code, "bad_data")
    assert not list(home.datasets.iterdir()) if home.datasets.exists() else True
    if code == "data.truncated":
        assert attempt.end.error.params["rows"] == 9


def mixed_rows(count: int) -> str:
    """Good rows, wrong ones, blank lines and duplicates."""
    chance = random.Random(7)
    lines = []
    for number in range(count):
        lines.append(json.dumps({"text": f"row {number % 37} {'x' * chance.randrange(60)}"}))
        lines += chance.choice([[], [], ["", "\x1c"], ["{wrong"], ['{"text": 3}'], ["[]"]])
    return "\n".join(lines)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=6), st.sampled_from(["jsonl", "json", "gz"]))
def test_that_an_import_that_was_ended_anywhere_makes_the_same_version(tmp_path_factory, ends, form):
    folder = tmp_path_factory.mktemp("import")
    text = mixed_rows(80)
    if form == "json":
        rows = [json.loads(line) for line in text.splitlines() if line.startswith('{"')]
        path = folder / "rows.json"
        path.write_text(json.dumps(rows))
    else:
        path = folder / ("rows.jsonl" if form == "jsonl" else "rows.jsonl.gz")
        path.write_bytes(text.encode() if form == "jsonl" else gzip.compress(text.encode(), mtime=0))
    job = import_job(path)
    whole = Slow(Home(folder / "undisturbed"), job, shard_rows=1000)
    expected = whole.run()
    disturbed = Slow(Home(folder / "disturbed"), job)
    manifest = None
    for stop_after, save in ends:
        manifest = disturbed.run(stop_after, save)
        if manifest is not None:
            break
    manifest = manifest or disturbed.run()
    assert (manifest.hash, manifest.rows, manifest.refused) == (expected.hash, expected.rows, expected.refused)
    assert manifest.problems == expected.problems
    assert manifest.columns == expected.columns
    problems = [found for _, found in disturbed.version(manifest).problems()]
    assert problems == [found for _, found in whole.version(expected).problems()]
    assert manifest.rows + manifest.refused == sum(1 for _ in read_records(path))
    assert disturbed.version(manifest).manifest.hash == manifest.hash


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_that_what_checks_knew_is_learnt_again_where_it_is_damaged(tmp_path, damage):
    path = tmp_path / "rows.jsonl"
    path.write_text(mixed_rows(200))
    job = import_job(path)
    whole, disturbed = Slow(Home(tmp_path / "undisturbed"), job), Slow(Home(tmp_path / "disturbed"), job)
    expected = whole.run()
    assert disturbed.run(300, True) is None
    (state,) = (tmp_path / "disturbed").rglob("checks-*.state")
    damage(state)
    found = disturbed.run()
    assert (found.hash, found.problems) == (expected.hash, expected.problems)
    assert not list((tmp_path / "disturbed").rglob("checks-*"))


@pytest.mark.parametrize("point", ["import.after_shard", "import.after_progress", "import.before_rename"])
def test_that_a_killed_worker_is_followed_by_one_that_makes_the_same_version(home, tmp_path, point):
    path = tmp_path / "rows.jsonl"
    path.write_text(mixed_rows(300))
    job = import_job(path)
    killed = write_attempt(home, job, run="r1", attempt=1)
    process = killed.start(FORGE_FAULT=f"{point}:kill")
    assert process.wait(100) == -9, killed.log
    assert [found.name for found in home.datasets.iterdir()] == [".making-r1"]
    again = write_attempt(home, job, run="r1", attempt=2)
    assert again.run() == 0, again.end
    undisturbed = write_attempt(home, job, run="r2")
    assert undisturbed.run() == 0
    assert made(again)[0].hash == made(undisturbed)[0].hash
    goes_on = [note for note in again.of("note") if note.code == "data.goes_on"]
    assert len(goes_on) == (point != "import.after_shard")
    assert [found.name for found in home.datasets.iterdir()] == [made(again)[0].hash]


class StopAt(StopFlag):
    """Asked to end as soon as rows are being kept in this folder."""

    def __init__(self, folder: Path, pause: bool) -> None:
        super().__init__()
        self._folder, self._wish = folder, pause

    def raise_if_set(self) -> None:
        if not self and list(self._folder.glob(".rows-*")):
            self.ask(pause=self._wish)
        super().raise_if_set()


@pytest.mark.parametrize(("pause", "state"), [(True, "paused"), (False, "stopped")])
def test_that_a_paused_import_ends_with_its_rows_kept_and_goes_on(home, tmp_path, pause, state):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"text": f"row {n} " + "word " * 300} for n in range(20_000)])
    job = import_job(path)
    attempt = write_attempt(home, job)
    assert attempt.run(StopAt(home.importing("r1"), pause)) == 77
    assert attempt.end.state == state
    assert not (home.importing("r1") / MANIFEST).exists()
    again = write_attempt(home, job, attempt=2)
    assert again.run() == 0
    line, _ = made(again)
    assert line.rows == 20_000
    assert [note.params["rows"] > 0 for note in again.of("note") if note.code == "data.goes_on"] == [True]


def test_that_a_source_that_changed_between_attempts_is_read_anew(home, tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"text": f"row {n}"} for n in range(100)])
    slow = Slow(home, import_job(path))
    assert slow.run(stop_after=160) is None
    tiny.write_jsonl(path, [{"text": f"other {n}"} for n in range(90)])
    attempt = write_attempt(home, import_job(path))
    assert attempt.run() == 0
    assert made(attempt)[0].rows == 90
    assert "data.begins_anew" in [note.code for note in attempt.of("note")]


def test_that_a_limit_takes_the_first_rows(home, tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"text": f"row {n}"} for n in range(100)])
    attempt = write_attempt(home, import_job(path, limit=30))
    assert attempt.run() == 0
    assert [row["text"] for row in rows_of(made(attempt)[1])] == [f"row {n}" for n in range(30)]


def test_that_columns_of_pictures_are_kept_and_said_not_to_be_learned(home, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = b"\x89PNG\r\n\x1a\n" + bytes(40)
    rows = [{"text": "a cat", "image": {"bytes": picture, "path": None}, "clip": "clips/1.mp4"}] * 3
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    attempt = write_attempt(home, import_job(tmp_path / "rows.parquet", format="text"))
    assert attempt.run() == 0
    _, version = made(attempt)
    kinds = {column.name: column.kind for column in version.manifest.columns}
    assert kinds == {"text": "text", "image": "image", "clip": "video"}
    remarks = [found for _, found in version.problems() if found.code == "data.not_trained_media"]
    assert sorted((found.column, found.severity, found.params["rows"]) for found in remarks) == [
        ("clip", "note", 3),
        ("image", "note", 3),
    ]
    assert version.manifest.problems["not_trained_media"] == 3
    assert version.record(0).content["image"]["bytes"]["base64"].startswith("iVBOR")


def test_that_a_full_disk_is_told_and_the_import_goes_on_when_there_is_room(home, tmp_path):
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"text": f"row {n} " + "word " * 200} for n in range(9000)])
    with small_disk(home.datasets, "4m"):
        attempt = write_attempt(home, import_job(path))
        assert attempt.run() == 1
        assert (attempt.end.reason, attempt.end.error.code) == ("disk_full", "worker.disk_full")
        assert not [found for found in home.datasets.iterdir() if not found.name.startswith(".")]
        assert not list(home.importing("r1").glob(".*"))  # the shard that did not fit has gone
    again = write_attempt(home, import_job(path), attempt=2)
    assert again.run() == 0
    assert made(again)[0].rows == 9000
