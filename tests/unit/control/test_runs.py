"""The list of runs: pages, filters, search, order."""

from pathlib import Path

import pytest

from engine.control.store import runs
from engine.control.store.database import Database
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
    page = database.read_now(lambda c: runs.page(c, **options))
    return [run.name for run in page.runs]


def test_that_the_newest_comes_first(database):
    assert names(database) == list(reversed(NAMES))


def test_that_a_page_knows_how_many_there_are(database):
    page = database.read_now(lambda c: runs.page(c, limit=1, offset=1, states=["draft"]))
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
