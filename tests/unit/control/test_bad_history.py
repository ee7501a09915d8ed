"""Histories that are newer, damaged, foreign or out of reach: refused untouched, and a full disk loses nothing."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contract.datasets import UploadView
from engine.contract.errors import UserError
from engine.contract.paths import code_root
from engine.control.store import datasets, migrations, run_list, runs, uploads
from engine.control.store.database import Database
from tests.helpers.controller import make_spec
from tests.helpers.disks import as_a_common_person, full, needs_root, read_only, small_disk
from tests.unit.control.test_ingest import Bed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


def add_metric(database: Database, name: str) -> None:
    database.write_now(lambda t: t.execute("INSERT INTO metric(name) VALUES (?)", (name,)), durable=True)


FIRST = 130
"""From here on, pages of `fill` hold its rows and none of the schema."""


def metrics(database: Database) -> list[str]:
    return database.read_now(lambda c: [row[0] for row in c.execute("SELECT name FROM metric ORDER BY id")])


def fill(path: Path, rows: int = 3000) -> None:
    """A history of some hundred pages, closed in good order."""
    database = Database(path)
    names = [(f"metric {n} " + "x" * 200,) for n in range(rows)]
    database.write_now(lambda t: t.connection.executemany("INSERT INTO metric(name) VALUES (?)", names))
    database.close()


def crash_copy(path: Path, target: Path) -> Path:
    """What a killed controller leaves: the file with its WAL not folded in."""
    database = Database(path)
    add_metric(database, "the last")
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{target}{suffix}")
    database.close()
    return target


def refused(path: Path) -> UserError:
    before = {file: file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.is_file()}
    with pytest.raises(UserError) as caught:
        Database(path)
    for file, content in before.items():
        if not file.name.endswith("-shm"):
            assert file.read_bytes() == content, f"{file.name} was changed"
    error = caught.value
    assert error.fix
    assert str(path) in error.text
    return error


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_that_a_cut_history_is_refused_untouched(path, share):
    fill(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert refused(path).code in ("history.damaged", "history.unusable")


@pytest.mark.parametrize("seed", range(5))
def test_that_random_bytes_are_refused_untouched(path, seed):
    path.write_bytes(random.Random(seed).randbytes(50_000))
    assert refused(path).code == "history.unusable"


def test_that_a_damaged_page_is_found_after_a_crash(path, tmp_path):
    fill(path)
    copy = crash_copy(path, tmp_path / "copy.sqlite3")
    content = bytearray(copy.read_bytes())
    content[4096 * FIRST : 4096 * (FIRST + 30)] = b"\xaa" * (4096 * 30)
    copy.write_bytes(content)
    error = refused(copy)
    assert error.code == "history.damaged"
    assert "forge history salvage" in error.fix


def test_that_a_damaged_page_found_while_working_is_said_and_not_called_a_bug(path):
    fill(path)
    content = bytearray(path.read_bytes())
    content[4096 * FIRST : 4096 * (FIRST + 140)] = b"\xaa" * (4096 * 140)
    path.write_bytes(content)
    database = Database(path)  # ended in good order: not looked through
    try:
        with pytest.raises(UserError) as caught:
            database.read_now(lambda c: c.execute("SELECT sum(length(name)) FROM metric").fetchall())
        assert (caught.value.code, caught.value.status) == ("history.damaged", 503)
    finally:
        database.close()


def test_that_what_a_crash_left_is_taken_up_whole(path, tmp_path):
    fill(path, 10)
    database = Database(crash_copy(path, tmp_path / "copy.sqlite3"))
    assert metrics(database)[-1] == "the last"
    database.close()


def test_that_a_history_without_its_wal_is_sound_and_older(path, tmp_path):
    fill(path, 10)
    copy = crash_copy(path, tmp_path / "copy.sqlite3")
    copy.with_name(copy.name + "-wal").unlink()
    database = Database(copy)
    assert len(metrics(database)) in (10, 11)
    assert database.read_now(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    database.close()


def test_that_other_things_in_its_place_are_refused(path, tmp_path):
    path.mkdir()
    assert refused(path).code == "history.not_a_file"
    path.rmdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE holidays(day)")
    connection.close()
    assert refused(path).code == "history.foreign"
    path.unlink()
    path.touch()
    (tmp_path / "runs" / "r1").mkdir(parents=True)
    assert refused(path).code == "history.emptied"
    shutil.rmtree(tmp_path / "runs")
    Database(path).close()  # an interrupted first start left it: nothing is lost


def test_that_a_newer_history_with_a_wal_is_refused_untouched(path, tmp_path):
    fill(path, 10)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {migrations.LATEST + 7}")
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{tmp_path / 'copy.sqlite3'}{suffix}")
    connection.close()
    error = refused(tmp_path / "copy.sqlite3")
    assert (error.code, error.params["theirs"]) == ("history.newer", migrations.LATEST + 7)


def test_that_a_history_on_a_read_only_disk_is_refused(tmp_path):
    path = tmp_path / "disk" / "history.sqlite3"
    fill(path, 1)
    with read_only(path.parent):
        assert refused(path).code == "history.read_only"


OPEN = """
import sys
from pathlib import Path
from engine.contract.errors import UserError
from engine.control.store.database import Database
try:
    Database(Path(sys.argv[1]))
except UserError as error:
    print(error.code)
"""


@needs_root
def test_that_a_history_of_somebody_else_is_refused(path):
    fill(path, 1)
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, cwd=code_root(),
        preexec_fn=as_a_common_person,
    )  # fmt: skip
    assert done.stdout.strip() == "history.read_only", done.stderr


def test_that_a_full_disk_refuses_new_and_keeps_what_was_stored(tmp_path):
    with small_disk(tmp_path / "disk", "3m") as disk:
        database = Database(disk / "history.sqlite3")
        add_metric(database, "before")
        stored, error = ["before"], None
        with full(disk):
            for number in range(2000):
                try:
                    add_metric(database, f"{number} " + "x" * 500)
                    stored.append(f"{number} " + "x" * 500)
                except UserError as found:
                    error = found
                    break
            assert error is not None
            assert (error.code, error.status) == ("history.disk_full", 507)
            assert metrics(database) == stored  # and reading goes on
        add_metric(database, "after")
        assert metrics(database) == [*stored, "after"]
        assert database.read_now(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
        database.close()
        again = Database(disk / "history.sqlite3")
        assert metrics(again) == [*stored, "after"]
        again.close()


def test_that_a_journal_stalls_on_a_full_disk_and_catches_up_exactly_once(tmp_path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        bed = Bed(disk)
        bed.write(bed.line("started", pid=1), *(bed.step(n) for n in range(1, 51)))
        bed.pull()
        many = {f"metric {number}": 1.0 for number in range(100)}
        bed.write(*(bed.step(n, loss=float(n), **many) for n in range(51, 400)))
        bed.database._durable.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # no room is left in the WAL either
        with full(disk):
            for _ in range(3):
                with pytest.raises(UserError, match="disk is full"):
                    bed.pull()
            seen = len(bed.loss)
        assert seen >= 50
        bed.pull()
        assert len(bed.loss) == 399
        assert bed.loss[50:] == [float(n) for n in range(51, 400)]
        assert bed.database.read_now(lambda c: c.execute("PRAGMA quick_check").fetchone()[0]) == "ok"
        bed.database.close()


def forge(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FORGE_HOME": str(home), "PYTHONPATH": str(code_root())}
    command = [sys.executable, "-m", "engine.cli", "history", *arguments, "--json"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_that_a_check_finds_damage_and_salvage_saves_the_rest(path, tmp_path):
    assert forge(tmp_path, "check").returncode == 1  # there is none yet
    fill(path)
    assert forge(tmp_path, "check").returncode == 0
    content = bytearray(path.read_bytes())
    content[4096 * FIRST : 4096 * (FIRST + 10)] = b"\xaa" * (4096 * 10)
    path.write_bytes(content)
    done = forge(tmp_path, "check")
    assert (done.returncode, bool(json.loads(done.stdout)["pages"])) == (1, True)
    done = forge(tmp_path, "salvage")
    assert done.returncode == 0, done.stderr
    saved = json.loads(done.stdout)
    assert 2000 < saved["rows"]["metric"] < 3000
    assert path.read_bytes() == content
    database = Database(Path(saved["file"]))
    assert len(metrics(database)) == saved["rows"]["metric"]
    assert database.read_now(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    database.close()


def test_that_a_whole_history_is_salvaged_whole_and_searchable(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    for number in range(20):
        spec = make_spec(tmp_path, f"mammoth {number}")
        database.write_now(lambda t, n=number, spec=spec: runs.insert(t, f"u{n}", spec, "", float(n)))
    database.close()
    saved = json.loads(forge(tmp_path, "salvage").stdout)
    assert saved["rows"]["run"] == 20
    copy = Database(Path(saved["file"]))
    assert copy.read_now(lambda c: run_list.page(c, search="mammoth")).total == 20
    copy.close()


def test_that_the_library_of_datasets_is_salvaged_too(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    made = datasets.Made("alpha", "f" * 64, None, "r", 2, 0, 9, "text", {}, "0" * 64)
    database.write_now(lambda t: datasets.register(t, made, 1.0))
    database.write_now(lambda t: datasets.keep_measure(t, "f" * 64, "k", 7, True, {}, 1.0))
    upload = UploadView(uid="u", name="x", bytes=3, received=0)
    database.write_now(lambda t: uploads.add(t, upload, "", 1.0))
    database.close()
    saved = json.loads(forge(tmp_path, "salvage").stdout)
    assert [saved["rows"][name] for name in ("dataset", "dataset_version", "dataset_measure", "upload")] == [1, 1, 1, 1]
    copy = Database(Path(saved["file"]))
    newest = copy.read_now(datasets.page).datasets[0].newest
    assert newest is not None
    assert (newest.hash, newest.tokens) == ("f" * 64, 7)
    copy.close()


def test_that_a_check_compares_the_history_with_the_journals(tmp_path):
    bed = Bed(tmp_path)
    bed.write(bed.line("started", pid=1), *(bed.step(n) for n in range(1, 9)))
    bed.pull()
    journal = tmp_path / "runs" / "u" / "attempts" / "1" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(bed.path.read_bytes())
    bed.database.close()
    assert forge(tmp_path, "check").returncode == 0
    journal.write_bytes(bed.path.read_bytes()[:-5])
    done = forge(tmp_path, "check")
    assert (done.returncode, len(json.loads(done.stdout)["journals"])) == (1, 1)
