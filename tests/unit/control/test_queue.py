"""Who goes next, and on what."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract.ids import new_id
from engine.contract.states import RunState
from engine.control.jobs import queue, transitions
from engine.control.store import runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec, take_next


@pytest.fixture
def database(tmp_path: Path):
    database = Database(tmp_path / "history.sqlite3")
    yield database
    database.close()


def put(database, folder, name, priority=0, at=1.0, lane=None, gpus=None):
    def write(t):
        spec = make_spec(folder, name, priority=priority, compute={"gpus": gpus})
        run_id = runs.insert(t, new_id(), spec, "", at)
        if lane:
            t.execute("UPDATE run SET lane = ? WHERE id = ?", (lane, run_id))
        transitions.move(t, run_id, RunState.QUEUED, actor="test", at=at)
        return run_id

    return database.write_now(write)


def take(database, slots=None, gpus=()):
    available = queue.slots(slots, gpus)
    return database.write_now(lambda t: take_next(t, available, gpus, "fake", 9.0))


def end(database, claim):
    database.write_now(
        lambda t: transitions.move(t, claim.run_id, RunState.STOPPED, actor="test", at=9.0, lease=claim.lease)
    )


def test_that_the_first_asked_for_goes_first(database, tmp_path):
    ids = [put(database, tmp_path, str(n), at=n) for n in (3, 1, 2)]
    taken = [take(database, {"gpu": 8}).run_id for _ in ids]
    assert taken == [ids[1], ids[2], ids[0]]


def test_that_priority_goes_before_age(database, tmp_path):
    old = put(database, tmp_path, "old", at=1)
    urgent = put(database, tmp_path, "urgent", priority=5, at=2)
    assert [take(database, {"gpu": 8}).run_id for _ in "ab"] == [urgent, old]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waiting=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 5)), min_size=1, max_size=8))
def test_that_the_order_holds_whatever_waits(tmp_path_factory, waiting):
    folder = tmp_path_factory.mktemp("queue")
    database = Database(folder / "history.sqlite3")
    try:
        ids = [put(database, folder, "x", priority, float(at)) for priority, at in waiting]
        expected = sorted(range(len(ids)), key=lambda n: (-waiting[n][0], waiting[n][1], n))
        taken = [take(database, {"gpu": 8}).run_id for _ in ids]
        assert taken == [ids[n] for n in expected]
        assert take(database, {"gpu": 9}) is None
    finally:
        database.close()


def test_that_a_computer_without_a_gpu_trains_one_at_a_time(database, tmp_path):
    for name in "ab":
        put(database, tmp_path, name)
    first = take(database)
    assert first.devices == ["cpu"]
    assert take(database) is None
    end(database, first)
    assert take(database) is not None


def test_that_each_gpu_has_one_run(database, tmp_path):
    for name in "abc":
        put(database, tmp_path, name)
    assert [take(database, gpus=("0", "1")).devices for _ in "ab"] == [["0"], ["1"]]
    assert take(database, gpus=("0", "1")) is None


def test_that_a_freed_gpu_is_the_one_given_next(database, tmp_path):
    for name in "abc":
        put(database, tmp_path, name)
    first, _ = take(database, gpus=("0", "1")), take(database, gpus=("0", "1"))
    end(database, first)
    assert take(database, gpus=("0", "1")).devices == ["0"]


def test_that_more_slots_than_devices_share_them_evenly(database, tmp_path):
    for name in "abcd":
        put(database, tmp_path, name)
    assert [take(database, {"gpu": 8}, ("0", "1")).devices[0] for _ in "abcd"] == ["0", "1", "0", "1"]


def test_that_a_run_may_ask_for_the_processor(database, tmp_path):
    put(database, tmp_path, "a", gpus=0)
    assert take(database, gpus=("0",)).devices == ["cpu"]


def test_that_eight_slots_are_used(database, tmp_path):
    for n in range(9):
        put(database, tmp_path, str(n))
    assert sum(take(database, {"gpu": 8}) is not None for _ in range(9)) == 8


def test_that_light_work_does_not_wait_behind_training(database, tmp_path):
    put(database, tmp_path, "train")
    put(database, tmp_path, "train too", at=2)
    light = put(database, tmp_path, "light", at=3, lane="light")
    take(database)
    assert take(database).run_id == light


def test_that_every_start_is_a_new_attempt_with_a_new_lease(database, tmp_path):
    run_id = put(database, tmp_path, "a")
    first = take(database)
    end(database, first)
    database.write_now(lambda t: transitions.move(t, run_id, RunState.QUEUED, actor="test", at=9.0))
    second = take(database)
    assert (first.n, second.n) == (1, 2)
    assert first.lease != second.lease


def test_the_usual_slots():
    assert queue.slots(None, ()) == {"gpu": 1, "cpu": 4, "light": 8}
    assert queue.slots(None, ("0", "1", "2"))["gpu"] == 3
    assert queue.slots({"gpu": 8}, ())["gpu"] == 8
