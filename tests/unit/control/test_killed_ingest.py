"""Killed at any statement, or inside one: every line of the journal is in the history exactly once, sealed or not."""

import json
import multiprocessing
import random
import shutil
import signal
from pathlib import Path

import pytest

from engine.contract.states import RunState
from engine.control.jobs import ingest, transitions
from engine.control.jobs.ingest import Ingest
from engine.control.store import attempts, metrics, runs
from engine.control.store.database import Database
from tests.helpers import killed_ingest
from tests.helpers.controller import make_spec

FIRST, SECOND = 1100, 1300


pytestmark = pytest.mark.slow


def journal(steps: range) -> str:
    """Steps, each with a reading, a validation every 50; seq counts all of them."""
    lines, seq = [], sum(2 + (n % 50 == 0) for n in range(1, steps.start))
    for n in steps:
        found = [{"kind": "step", "step": n, "epoch": n / 100, "values": {"loss": 1 / n}}]
        found.append({"kind": "device", "values": {"ram.used": float(n)}})
        if n % 50 == 0:
            found.append({"kind": "validation", "step": n, "values": {"validation_loss": 2 / n}})
        for line in found:
            seq += 1
            lines.append(json.dumps({"v": 1, "seq": seq, "t": 100.0 + seq, **line}) + "\n")
    return "".join(lines)


def prepare(folder: Path) -> None:
    """A run of which a part is in the history, sealed, and more is in the journal."""

    def write(t):
        runs.insert(t, "u", make_spec(folder), "", 1)
        transitions.move(t, 1, RunState.QUEUED, actor="test", at=1)
        attempt_id, _ = attempts.insert(t, 1, cause="first", lease="lease", spec="{}", at=1)
        attempts.add_member(t, attempt_id, "fake", 1, [])
        transitions.move(t, 1, RunState.PREPARING, actor="test", at=1)

    database = Database(folder / "history.sqlite3")
    database.write_now(write)
    (folder / "journal.jsonl").write_text(journal(range(1, FIRST)))
    take_the_rest_in(database, folder)
    database.close()
    with (folder / "journal.jsonl").open("a") as file:
        file.write(journal(range(FIRST, FIRST + SECOND)))


def take_the_rest_in(database: Database, folder: Path) -> None:
    follower = Ingest(database, killed_ingest.source(folder))
    while follower.pull():
        pass


def seqs(database: Database) -> list[int]:
    """The journal lines that are in the history; each line here has one metric of its own."""
    names = ["loss", "validation_loss", "ram.used"]
    found = database.read_now(lambda c: metrics.read(c, 1, names))
    return sorted(seq for points in found for seq in points.seq.tolist())


def check_and_finish(folder: Path) -> None:
    """Position and points agree now; and when the rest is taken in, all are there."""
    database = Database(folder / "history.sqlite3")
    try:
        assert seqs(database) == list(range(1, database.read_now(lambda c: attempts.position(c, 1)).seq + 1))
        take_the_rest_in(database, folder)
        lines = (folder / "journal.jsonl").read_text().splitlines()
        assert seqs(database) == list(range(1, len(lines) + 1))
        for (points,) in (database.read_now(lambda c, n=n: metrics.read(c, 1, [n])) for n in ("loss", "epoch")):
            assert points.x.tolist() == list(range(1, FIRST + SECOND))
        kept = database.read_now(lambda c: c.execute("SELECT sum(n) FROM series").fetchone()[0])
        assert kept == len(lines) + FIRST + SECOND - 1
        assert database.read_now(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"
    finally:
        database.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.helpers.killed_ingest"])
    return context


def die(processes, folder: Path, moment: int, inside: bool) -> bool:
    """False when it came to its end before the moment."""
    process = processes.Process(target=killed_ingest.take_in, args=(folder, moment, inside))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_that_a_kill_at_any_statement_neither_loses_nor_doubles_a_line(prepared, processes, tmp_path):
    moment = 0
    killed = True
    while killed:
        moment += 1
        folder = tmp_path / str(moment)
        shutil.copytree(prepared, folder)
        killed = die(processes, folder, moment, inside=False)
        check_and_finish(folder)
        shutil.rmtree(folder)
    assert moment > 30


@pytest.mark.parametrize("seed", range(3))
def test_that_one_kill_after_another_inside_statements_neither_loses_nor_doubles_a_line(
    prepared, processes, tmp_path, monkeypatch, seed
):
    chance, folder = random.Random(seed), tmp_path / "home"
    shutil.copytree(prepared, folder)
    deaths = sum(die(processes, folder, chance.randint(1, 1000), inside=True) for _ in range(8))
    assert deaths > 1
    monkeypatch.setattr(ingest, "CHUNK_BYTES", 20_000)  # and the rest in many small flushes
    check_and_finish(folder)
