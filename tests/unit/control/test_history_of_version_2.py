"""A history that version 2 wrote: time, score, tags and the order of the queue are known of its runs too."""

import json
import sqlite3

import pytest
import sqlite_utils

from engine.contract.states import RunState
from engine.control.jobs import transitions
from engine.control.store import migrations, run_list
from engine.control.store.database import Database
from tests.helpers.controller import make_spec, take_next

RUN = (
    "INSERT INTO run(id, uid, kind, lane, name, project, owner, state, model, dataset, method, created, queued, "
    "spec_hash, tags, attempt, deleting) VALUES (?,?,'train','gpu',?,'default','me',?,'m','d','sft lora',?,?,'',?,?,?)"
)
ATTEMPT = "INSERT INTO attempt(run_id, n, cause, lease, spec, started, ended) VALUES (?,?,'first',?,'{}',?,?)"


@pytest.fixture
def database(tmp_path):
    """A run that ended twice, one at work, two that wait, and one that is being deleted."""
    connection = sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for number in (1, 2):
        migrations._STEPS[number](sqlite_utils.Database(connection))
    connection.execute("PRAGMA user_version = 2")
    for number, uid, state, queued, tags, attempts, deleting in (
        (1, "ended", "completed", 5.0, ["Nightly", "论文"], 3, 0),
        (2, "works", "running", 6.0, [], 1, 0),
        (3, "second", "queued", 9.0, ["nightly", "NIGHTLY"], 0, 0),
        (4, "first", "queued", 8.0, [], 0, 0),
        (5, "going", "failed", 8.0, ["nightly"], 1, 1),
    ):
        connection.execute(RUN, (number, uid, uid, state, number, queued, json.dumps(tags), attempts, deleting))
        spec = make_spec(tmp_path, uid, tags=tags)
        connection.execute("INSERT INTO run_spec VALUES (?, ?)", (number, spec.model_dump_json()))
    for run, n, started, ended in (
        (1, 1, 100.0, 130.0),
        (1, 2, 200.0, 195.0),
        (1, 3, 300.0, 312.5),
        (2, 1, 400.0, None),
    ):
        connection.execute(ATTEMPT, (run, n, f"lease {run} {n}", started, ended))
    for attempt, when, value in ((1, "after", 0.25), (3, "before", 0.1), (3, "after", 0.75)):
        body = {"when": when, "metric": "exact_match", "value": value, "correct": 1, "rows": 4}
        connection.execute(
            "INSERT INTO event(at, run_id, attempt_id, rank, seq, kind, body) VALUES (1,1,?,0,?,'score',?)",
            (attempt, 1 if when == "before" else 2, json.dumps(body)),
        )
    connection.close()
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def fetch(database, sql):
    return [tuple(row) for row in database.read_now(lambda c: c.execute(sql).fetchall())]


def test_that_time_and_score_are_taken_from_attempts_and_events(database):
    found = fetch(database, "SELECT uid, worked_seconds, working_since, cost, score FROM run WHERE id < 4 ORDER BY id")
    assert found == [
        ("ended", 42.5, None, None, 0.75),
        ("works", 0.0, 400.0, None, None),
        ("second", 0, None, None, None),
    ]
    (run,) = database.read_now(lambda c: run_list.page(c, states=["completed"])).runs
    assert (run.seconds, run.cost, run.score) == (42.5, None, 0.75)


def test_that_a_run_at_work_goes_on_counting(database):
    database.write_now(
        lambda t: transitions.move(t, 2, RunState.FAILED, actor="test", at=460.0, lease="lease 2 1")
    )  # fmt: skip
    assert fetch(database, "SELECT worked_seconds, working_since FROM run WHERE id = 2") == [(60.0, None)]


def test_that_the_queue_keeps_its_order(database):
    taken = [
        database.write_now(lambda t: take_next(t, {"gpu": 9, "cpu": 0, "light": 0}, (), "fake", 500.0)) for _ in "ab"
    ]
    assert [claim.uid for claim in taken] == ["first", "second"]


def test_that_tags_are_known_folded_and_once(database):
    assert fetch(database, "SELECT tag, run_id FROM run_tag ORDER BY 1, 2") == [
        ("nightly", 1),
        ("nightly", 3),
        ("论文", 1),
    ]
