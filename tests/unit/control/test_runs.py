"""The list of runs: pages, filters, search, order."""

import hashlib
import itertools
import json
import random
from pathlib import Path

import pytest

from engine.contract.run_spec import RunSpec
from engine.control.store import run_list, runs
from engine.control.store.database import Database
from tests.bench import history
from tests.helpers.controller import make_spec

NAMES = ("Support bot", "日期格式", "translate en-de", 'odd "quotes" and % signs')


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("runs")
    database = Database(folder / "history.sqlite3")

    def fill(t):
        for n, name in enumerate(NAMES):
            tags = ["nightly"] if n == 2 else []
            run_id = runs.insert(t, f"uid{n}aaaa", make_spec(folder, name, tags=tags, project=f"p{n % 2}"), "", n)
            t.execute("UPDATE run SET state = ? WHERE id = ?", ("failed" if n == 0 else "draft", run_id))

    database.write_now(fill)
    yield database
    database.close()


def names(database, **options):
    page = database.read_now(lambda c: run_list.page(c, **options))
    return [run.name for run in page.runs]


def test_that_the_newest_comes_first(database):
    assert names(database) == list(reversed(NAMES))


def test_that_a_page_knows_how_many_there_are(database):
    page = database.read_now(lambda c: run_list.page(c, limit=1, offset=1, states=["draft"]))
    assert (len(page.runs), page.total, page.counts) == (1, 3, {"draft": 3, "failed": 1})


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("support", [0]),
        ("BOT sup", [0]),
        ("期格", [1]),
        ("日期格式", [1]),
        ("nightly", [2]),
        ("n-d", [2]),
        ('"quotes"', [3]),
        ("%", [3]),
        ("uid2", [2]),
        ("nothing like it", []),
        ("rows.jsonl", [3, 2, 1, 0]),
        ("AND OR NOT", []),
    ],
)
def test_that_every_word_is_looked_for_as_it_stands(database, words, found):
    assert names(database, search=words) == [NAMES[n] for n in found]


def test_that_runs_can_be_picked_by_state_and_project(database):
    assert names(database, states=["failed"]) == [NAMES[0]]
    assert names(database, project="p1") == [NAMES[3], NAMES[1]]


def test_that_runs_can_be_ordered(database):
    assert names(database, sort="name", descending=False)[0] == 'odd "quotes" and % signs'


def test_that_a_renamed_run_is_found_by_its_new_name_only(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    run_id = database.write_now(lambda t: runs.insert(t, "u", make_spec(tmp_path, "before"), "", 1))
    database.write_now(lambda t: runs.replace_spec(t, run_id, make_spec(tmp_path, "after")))
    assert names(database, search="before") == []
    assert names(database, search="after") == ["after"]
    database.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    database = Database(tmp_path_factory.mktemp("many") / "history.sqlite3")
    history.fill(database, 700)
    database.write_now(lambda t: t.execute("UPDATE run SET deleting = 1 WHERE id % 100 = 0"))
    yield database
    database.close()


SEARCHES = ("", "QWEN", "legal review", "日期", "ll", "ROWS", "größe nightly", "01h", "nothing")


@pytest.mark.parametrize("few", [0, 40, 3000])
@pytest.mark.parametrize("search", SEARCHES)
def test_that_a_page_is_what_filtering_and_sorting_everything_would_give(many, monkeypatch, few, search):
    monkeypatch.setattr(run_list, "FEW", few)
    every = [row for row in history.rows(700) if row[0] % 100]
    kinds = itertools.product(([], ["completed"], ["failed", "stopped"]), ("", "project 3"), run_list.SORTS)
    chance = random.Random(search)
    for states, project, sort in kinds:
        descending, offset = chance.random() < 0.5, chance.choice((0, 3, 30, 350, 690))
        kept = [row for row in every if (not states or row[7] in states) and (not project or row[5] == project)]
        kept = [row for row in kept if all(matches(row, word) for word in search.split())]
        kept.sort(key=lambda row: key(row, sort), reverse=descending)
        page = many.read_now(
            lambda c, o=(states, project, sort, descending, offset): run_list.page(
                c, states=o[0], search=search, project=o[1], sort=o[2], descending=o[3], offset=o[4], limit=20
            )
        )
        assert page.total == len(kept)
        assert [run.uid for run in page.runs] == [row[1] for row in kept[offset : offset + 20]]


def matches(row, word):
    text = " ".join((row[4], row[9], row[10], *json.loads(row[17]))).casefold()
    return word.casefold() in text or (len(word) >= 3 and row[1].startswith(word))


def key(row, sort):
    names = [name.strip() for name in history._COLUMNS.split(",")]
    columns = {"step": "last_step", "seconds": "worked_seconds", "tokens": "tokens_seen"}
    value = row[names.index(columns.get(sort, sort))]
    if isinstance(value, str) and sort == "name":
        value = "".join(letter.lower() if letter.isascii() else letter for letter in value)
    if isinstance(value, str):
        value = value.encode()
    return (value is not None, value, row[0])


def test_that_a_run_that_is_being_deleted_is_not_found(many):
    page = many.read_now(lambda c: run_list.page(c, search="rows", limit=1000))
    assert page.total == 693


def test_that_the_counts_by_state_follow_every_change(tmp_path):
    database, chance = Database(tmp_path / "history.sqlite3"), random.Random(1)
    history.fill(database, 50)
    for _ in range(60):
        statement = chance.choice(
            (
                "UPDATE run SET state = 'running' WHERE id = ? AND deleting = 0",
                "UPDATE run SET state = state, loss = 1 WHERE id = ?",
                "UPDATE run SET deleting = 1 WHERE id = ?",
                "DELETE FROM run WHERE id = ?",
            )
        )
        database.write_now(lambda t, s=statement: t.execute(s, (chance.randint(1, 50),)))
        counted = database.read_now(
            lambda c: dict(c.execute("SELECT state, count(*) FROM run WHERE deleting = 0 GROUP BY state").fetchall())
        )
        assert database.read_now(lambda c: run_list.page(c)).counts == counted
    database.close()


def test_that_settings_and_inputs_of_a_run_are_stored_and_follow_its_spec(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    spec = make_spec(tmp_path, "one")
    run_id = database.write_now(lambda t: runs.insert(t, "u", spec, "", 1))

    def fetch(sql):
        return [tuple(row) for row in database.read_now(lambda c: c.execute(sql).fetchall())]

    params = dict(fetch("SELECT key, value FROM run_param"))
    assert params["tuner.kind"] == "lora"
    assert params["training.learning_rate"] == spec.job.training.learning_rate
    assert params["data.train"].startswith('[{"path":')
    inputs = fetch("SELECT role, kind, hash, name FROM lineage ORDER BY kind DESC")
    fingerprint = hashlib.sha256(f"local:{spec.job.model.path}:".encode()).hexdigest()
    assert inputs[0] == ("input", "model", fingerprint, spec.job.model.path)
    assert inputs[1][1] == "dataset"

    other = spec.model_dump(mode="json")
    other["job"]["model"]["path"] = "/elsewhere"
    other["job"]["tuner"]["rank"] = 77
    database.write_now(lambda t: runs.replace_spec(t, run_id, RunSpec.model_validate(other)))
    assert fetch("SELECT value FROM run_param WHERE key = 'tuner.rank'") == [(77,)]
    assert fetch("SELECT name FROM lineage WHERE kind = 'model'") == [("/elsewhere",)]
    database.close()
