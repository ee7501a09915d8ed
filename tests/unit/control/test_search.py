"""Runs found by operators: what the history finds is what a look at every run finds."""

import functools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract.clock import now
from engine.contract.errors import Refused
from engine.contract.search import parse
from engine.contract.search_filter import matches
from engine.control.store import run_list
from engine.control.store.database import Database
from tests.bench import history

RUNS = 300
EXTREMES = ("loss", "score", "cost")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Runs of all sorts: some at work, some without loss, score or cost, some that are being deleted."""
    database, chance = Database(tmp_path_factory.mktemp("search") / "history.sqlite3"), random.Random(3)
    history.fill(database, RUNS)

    def vary(t):
        for number in range(1, RUNS + 1):
            column = chance.choice(EXTREMES)
            t.execute(f"UPDATE run SET {column} = NULL, pinned = ? WHERE id = ?", (chance.randint(0, 1), number))
            t.execute(
                "UPDATE run SET owner = ?, node = ? WHERE id = ?",
                (chance.choice(["Ann", "bob", "Größe", ""]), chance.choice(["local", "Big-GPU", ""]), number),
            )
        t.execute(
            "UPDATE run SET state = 'running', reason = NULL, working_since = ?, price = CASE WHEN id % 2 THEN 2.0 END "
            "WHERE id % 40 = 3",
            (now() - 5000,),
        )
        t.execute("UPDATE run SET created = ? - 86400.0 * (id % 30), score = round(score, 1)", (now(),))
        t.execute("UPDATE run SET deleting = 1 WHERE id % 50 = 0")

    database.write_now(vary)
    yield database
    database.close()


@functools.cache
def everything(database):
    return database.read_now(lambda c: run_list.page(c, limit=1000)).runs


OPERATORS = st.one_of(
    st.sampled_from(
        (
            *("state:running", "state:completed,failed", "state:draft", "reason:out_of_memory", "reason:finished,hang"),
            *(
                "tag:nightly",
                "tag:NIGHTLY,论文",
                "tag:night",
                "name:legal",
                'name:"legal r"',
                "name:LEGAL,翻译",
                "name:nightly",
            ),
            *(
                "model:qwen",
                "model:b",
                "model:中文",
                "dataset:rows-1",
                'dataset:".jsonl"',
                "method:LORA",
                "method:dpo,full",
            ),
            *('project:"project 3"', "project:project", "owner:me", "owner:ann,GRÖSSE", "owner:me,bob", "node:LOCAL"),
            *("node:big-gpu", "pinned:yes", "pinned:no", "pinned:yes,no", "priority>0", "priority:0,2", "priority<=-1"),
            *("created<7d", "created>=10d", "created:3d", "created>2026-01-01", "started<2001-01-01", "finished>1w"),
            *("seconds>2h", "seconds<1m", "cost<5", "cost>=40", "score:0.5", "score>=50%", "steps>10000", "loss<1e-1"),
            *("tokens>1M", "tokens:<=20k", "tokens:0", "-tokens>500"),
        )
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(("loss", "score", "cost", "steps", "seconds", "priority", "tokens")),
        st.sampled_from((":", "<", "<=", ">", ">=")),
        st.one_of(st.integers(0, 90_000), st.floats(0, 60).map(lambda value: format(value, "f"))),
    ),
)
WORDS = st.sampled_from(
    ("legal", "qwen", "日期", '"support bot"', "nightly", "größe", "b", "nothing", "01h", '"bot c"')
)
SEARCHES = st.lists(st.builds("{}{}".format, st.sampled_from(("", "", "-")), st.one_of(OPERATORS, WORDS)), max_size=4)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(search=SEARCHES.map(" ".join), few=st.sampled_from((0, 30, 3000)), sort=st.sampled_from(tuple(run_list.SORTS)))
def test_that_the_history_finds_what_looking_at_every_run_finds(database, search, few, sort):
    before, run_list.FEW = run_list.FEW, few
    try:
        page = database.read_now(lambda c: run_list.page(c, search=search, sort=sort, limit=1000, me="Ann"))
    finally:
        run_list.FEW = before
    query = parse(search)
    expected = {run.uid for run in everything(database) if matches(query, run, "Ann")}
    assert {run.uid for run in page.runs} == expected
    assert (page.total, len(page.runs)) == (len(expected), len(expected))


@pytest.mark.parametrize("few", [0, 3000])
@pytest.mark.parametrize("sort", ["seconds", "cost"])
def test_that_runs_at_work_stand_where_their_time_and_cost_put_them(database, monkeypatch, sort, few):
    monkeypatch.setattr(run_list, "FEW", few)
    for search in ("", "qwen", "steps>100"):
        for descending in (True, False):
            asked = {"search": search, "sort": sort, "descending": descending}
            whole = database.read_now(lambda c, a=asked: run_list.page(c, limit=1000, **a)).runs
            values = [(getattr(run, sort) is not None, getattr(run, sort) or 0.0) for run in whole]
            assert values == sorted(values, reverse=descending)
            assert any(run.state == "running" for run in whole)
            for offset in (10, len(whole) - 12):
                page = database.read_now(lambda c, a=asked, o=offset: run_list.page(c, offset=o, limit=5, **a))
                assert [run.uid for run in page.runs] == [run.uid for run in whole[offset : offset + 5]]


def test_that_states_and_project_of_the_list_narrow_a_search(database):
    page = database.read_now(
        lambda c: run_list.page(c, search="loss<2 nightly", states=["completed"], project="project 3", limit=1000)
    )
    wanted = parse("loss<2 nightly state:completed")
    expected = {run.uid for run in everything(database) if matches(wanted, run) and run.project == "project 3"}
    assert {run.uid for run in page.runs} == expected
    assert expected


def test_that_a_bad_search_is_refused(database):
    with pytest.raises(Refused) as caught:
        database.read_now(lambda c: run_list.page(c, search="loss<x stat:y"))
    assert len(caught.value.problems) == 2


def test_that_tags_follow_a_run(tmp_path):
    from engine.control.store import runs
    from tests.helpers.controller import make_spec

    database = Database(tmp_path / "history.sqlite3")

    def found(search):
        return database.read_now(lambda c: run_list.page(c, search=search)).total

    run_id = database.write_now(lambda t: runs.insert(t, "u", make_spec(tmp_path, tags=["Alpha", "beta"]), "", 1.0))
    assert (found("tag:alpha tag:BETA"), found("tag:gamma")) == (1, 0)
    database.write_now(lambda t: runs.replace_spec(t, run_id, make_spec(tmp_path, tags=["gamma"])))
    assert (found("tag:alpha"), found("tag:gamma")) == (0, 1)
    database.write_now(lambda t: t.execute("UPDATE run SET deleting = 1"))
    assert (found("tag:gamma"), found("-tag:alpha")) == (0, 0)
    database.close()
