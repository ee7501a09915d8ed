"""The order of the queue: moves, places, and when a slot is likely to be free."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract.errors import Conflict, NotFound
from engine.contract.listing import MoveInQueue
from engine.contract.run_spec import RunSpec
from engine.contract.states import RunState
from engine.contract.stream import RunChanged
from engine.control.jobs import lineup, transitions
from engine.control.jobs.requests import Request
from engine.control.store import runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec, take_next

SLOTS = {"gpu": 2, "cpu": 1, "light": 0}


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def put(database, folder, uid, priority=0, at=1.0, lane="gpu"):
    def write(t):
        run_id = runs.insert(t, uid, make_spec(folder, uid, priority=priority), "", at)
        t.execute("UPDATE run SET lane = ? WHERE id = ?", (lane, run_id))
        transitions.move(t, run_id, RunState.QUEUED, actor="test", at=at)

    database.write_now(write)


def change(database, uid, **columns):
    for column, value in columns.items():
        database.write_now(lambda t, c=column, v=value: t.execute(f"UPDATE run SET {c} = ? WHERE uid = ?", (v, uid)))


def standing(database, lane="gpu"):
    """The runs of a lane in their order, each with its priority."""
    found = database.read_now(lambda c: lineup.listing(c, SLOTS, 100.0))
    return {entry.run.uid: entry.run.priority for entry in found.entries if entry.run.lane == lane}


def order(database, lane="gpu"):
    return list(standing(database, lane))


def move(database, uid, before=None):
    return database.write_now(lambda t: lineup.move(t, uid, before, "test"))


MOVES = st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), st.integers(0, 7))), max_size=40)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    waiting=st.lists(st.tuples(st.integers(-1, 1), st.sampled_from((1.0, 1.0, 2.0, 3e9))), min_size=8, max_size=8),
    moves=MOVES,
    tight=st.booleans(),
)
def test_that_any_moves_leave_the_order_a_list_would_have(tmp_path_factory, waiting, moves, tight):
    folder = tmp_path_factory.mktemp("lineup")
    database = Database(folder / "history.sqlite3")
    try:
        for number, (priority, at) in enumerate(waiting):
            put(database, folder, f"r{number}", priority, at)
        known = standing(database)
        model = list(known)
        assert model == [f"r{n}" for n in sorted(range(8), key=lambda n: (-waiting[n][0], waiting[n][1], n))]
        for mover, before in [*moves, *([(0, 1), (1, 0)] * 60 if tight else [])]:
            uid, other = f"r{mover}", None if before is None else f"r{before}"
            if uid == other:
                continue
            model.remove(uid)
            place = len(model) if other is None else model.index(other)
            known[uid] = known[model[-1] if other is None else other]
            model.insert(place, uid)
            move(database, uid, other)
            now = standing(database)
            assert (list(now), now) == (model, known)
        taken = [
            database.write_now(lambda t: take_next(t, {"gpu": 9, "cpu": 0, "light": 0}, (), "fake", 9.0)).uid
            for _ in model
        ]
        assert taken == model
    finally:
        database.close()


def test_that_a_moved_run_s_spec_says_its_new_priority_and_who_listens_learns_of_it(database, tmp_path):
    put(database, tmp_path, "first", priority=5)
    put(database, tmp_path, "second", at=2.0)
    heard = []
    database.on_commit = heard.extend
    assert move(database, "second", "first").priority == 5
    (news,) = heard
    assert isinstance(news, RunChanged)
    assert (news.run.uid, news.run.priority, news.cursor is not None) == ("second", 5, True)
    row = database.read_now(lambda c: runs.find(c, "second"))
    assert RunSpec.model_validate_json(row["spec"]).priority == 5
    heard.clear()
    move(database, "second")  # the order changes, no priority does
    assert [news.run.uid for news in heard] == ["second"]


def test_that_a_run_queued_after_a_move_comes_last(database, tmp_path):
    for number in range(3):
        put(database, tmp_path, f"r{number}", at=float(number))
    for _ in range(80):  # until ranks have to be numbered anew
        move(database, "r0", "r2")
        move(database, "r1", "r2")
    put(database, tmp_path, "new", at=3.0)
    assert order(database) == ["r0", "r1", "r2", "new"]


@pytest.mark.parametrize(
    ("uid", "before", "code"),
    [
        ("draft", None, "queue.not_waiting"),
        ("a", "draft", "queue.not_waiting"),
        ("a", "other", "queue.other_lane"),
        ("a", "a", "queue.itself"),
        ("retries", "a", "queue.retry"),
        ("a", "retries", "queue.retry"),
    ],
)
def test_that_moves_without_sense_are_refused(database, tmp_path, uid, before, code):
    put(database, tmp_path, "a")
    put(database, tmp_path, "retries")
    put(database, tmp_path, "other", lane="cpu")
    change(database, "retries", retry_at=500.0)
    database.write_now(lambda t: runs.insert(t, "draft", make_spec(tmp_path), "", 1.0))
    with pytest.raises(Conflict) as caught:
        move(database, uid, before)
    assert caught.value.code == code
    with pytest.raises(NotFound):
        move(database, "nobody")


def test_that_runs_that_wait_for_a_retry_come_last_and_places_count_by_lane(database, tmp_path):
    put(database, tmp_path, "retries", priority=9)
    change(database, "retries", retry_at=500.0)
    put(database, tmp_path, "a")
    put(database, tmp_path, "c", lane="cpu")
    found = database.read_now(lambda c: lineup.listing(c, SLOTS, 100.0)).entries
    assert [(entry.run.uid, entry.position) for entry in found] == [("a", 1), ("retries", 2), ("c", 1)]
    assert [entry.starts_in_seconds for entry in found] == [0.0, 400.0, 0.0]


def works(database, folder, uid, **columns):
    put(database, folder, uid)
    database.write_now(lambda t: take_next(t, {"gpu": 9, "cpu": 0, "light": 0}, (), "fake", 9.0))
    change(database, uid, **columns)


def begins(database):
    found = database.read_now(lambda c: lineup.listing(c, SLOTS, 1000.0))
    return {entry.run.uid: entry.starts_in_seconds for entry in found.entries}


def test_when_a_slot_is_likely_to_be_free(database, tmp_path):
    works(database, tmp_path, "soon", state="running", pace=2.0, last_step=40, total_steps=50)
    works(database, tmp_path, "later", state="running", pace=2.0, last_step=0, total_steps=50)
    put(database, tmp_path, "a", at=1.0)
    assert begins(database) == {"a": 20.0}
    put(database, tmp_path, "b", at=2.0)
    put(database, tmp_path, "c", at=3.0)
    assert begins(database) == {"a": 20.0, "b": 100.0, "c": None}  # how long "a" will take is not known
    change(database, "a", last_step=10, total_steps=20, worked_seconds=30.0)
    assert begins(database) == {"a": 20.0, "b": 50.0, "c": 100.0}
    change(database, "soon", pace=None)
    assert begins(database) == {"a": 100.0, "b": 130.0, "c": None}
    change(database, "later", pace=None)
    assert begins(database) == {"a": None, "b": None, "c": None}


def test_that_a_repeated_move_is_done_once(bench):
    async def main():
        async with bench.running(slots={"gpu": 0}):
            uids = [await bench.create(name) for name in "abc"]
            request = Request("move", key="k", target=uids[2])
            first = await bench.controller.move_in_queue(uids[2], MoveInQueue(before=uids[0]), request)
            await bench.controller.move_in_queue(uids[2], MoveInQueue(), Request("move", key="l", target=uids[2]))
            assert await bench.controller.move_in_queue(uids[2], MoveInQueue(before=uids[0]), request) == first
            assert [row[0] for row in bench.fetch("SELECT uid FROM run ORDER BY queue_rank")] == uids
            assert [row[0] for row in bench.fetch("SELECT action FROM audit WHERE action = 'move'")] == ["move"] * 2

    asyncio.run(main())


def test_that_many_moves_at_random_places_stay_in_order(database, tmp_path):
    chance, count = random.Random(1), 40
    for number in range(count):
        put(database, tmp_path, f"r{number:02}", at=1.0)
    model = order(database)
    for _ in range(150):
        uid, other = chance.sample(model, 2)
        model.remove(uid)
        model.insert(model.index(other), uid)
        move(database, uid, other)
    assert order(database) == model
