"""Curves in the history: what goes in comes out."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.control.store import attempts, metrics, runs
from engine.control.store.database import Database
from engine.control.store.metrics import Block, Row
from tests.helpers.controller import make_spec


@pytest.fixture
def database(tmp_path: Path):
    database = Database(tmp_path / "history.sqlite3")
    database.write_now(lambda t: runs.insert(t, "u", make_spec(tmp_path), "", 1))
    yield database
    database.close()


def new_attempt(database):
    return database.write_now(lambda t: attempts.insert(t, 1, cause="first", lease="l", spec="{}", at=1)[0])


def put(database, attempt_id, ordinal, *blocks):
    return database.write_now(lambda t: metrics.append(t, 1, attempt_id, ordinal, blocks))


def read(database, *names, after=None):
    return {p.metric: p for p in database.read_now(lambda c: metrics.read(c, 1, names, after))}


def steps(*points, name="loss"):
    return Block("step", (name,), [Row(n, x, 1000 + n / 7, {name: value}) for n, x, value in points])


def test_that_values_come_back_bit_for_bit(database):
    attempt = new_attempt(database)
    odd = [float("nan"), math.inf, -math.inf, -0.0, 5e-324, 0.1]
    put(database, attempt, 1, steps(*((n, n, value) for n, value in enumerate(odd, 1))))
    got = read(database)["loss"]
    assert got.value.tobytes() == np.array(odd).tobytes()
    assert got.x.tolist() == [1, 2, 3, 4, 5, 6]


def test_that_times_are_whole_microseconds(database):
    attempt, t = new_attempt(database), 1795228437.484377
    put(database, attempt, 1, Block("step", ("loss",), [Row(1, 1, t, {"loss": 1.0})]))
    assert round(read(database)["loss"].t[0] * 1e6) == round(t * 1e6)


def test_that_repeated_and_decreasing_steps_stay_in_the_order_of_the_journal(database):
    attempt = new_attempt(database)
    put(database, attempt, 1, steps((1, 5, 1.0), (2, 5, 2.0), (3, 2, 3.0)))
    assert read(database)["loss"].x.tolist() == [5, 5, 2]


def test_that_blocks_of_one_flush_are_put_back_into_order(database):
    attempt = new_attempt(database)
    both = Block("step", ("grad_norm", "loss"), [Row(2, 2, 1, {"loss": 2.0, "grad_norm": 1.0})])
    put(database, attempt, 1, steps((1, 1, 1.0), (3, 3, 3.0)), both)
    assert read(database)["loss"].value.tolist() == [1, 2, 3]
    assert read(database)["grad_norm"].x.tolist() == [2]


def test_that_reading_goes_on_after_an_attempt_and_step(database):
    first = new_attempt(database)
    put(database, first, 1, steps((1, 1, 1.0), (2, 2, 2.0)))
    second = new_attempt(database)
    put(database, second, 1, steps((1, 1, 3.0), (2, 2, 4.0)))
    assert read(database, after=(1, 1))["loss"].value.tolist() == [2, 3, 4]
    assert read(database, after=(2, 1))["loss"].attempt.tolist() == [2]


def test_that_only_the_named_curves_are_read(database):
    attempt = new_attempt(database)
    put(database, attempt, 1, steps((1, 1, 1.0)), steps((1, 1, 1.0), name="learning_rate"))
    assert set(read(database, "loss")) == {"loss"}


def test_that_device_readings_are_over_time(database):
    attempt = new_attempt(database)
    row = Row(1, metrics.micros(12.5), 12.5, {"ram.used": 1e9})
    put(database, attempt, 1, Block("time", ("ram.used",), [row]))
    got = read(database)["ram.used"]
    assert (got.axis, got.x.tolist()) == ("time", [12.5])


def test_the_list_of_curves(database):
    attempt = new_attempt(database)
    ordinal = put(database, attempt, 1, steps((1, 1, 4.0), (2, 2, float("nan"))))
    put(database, attempt, ordinal, steps((3, 3, 2.0)))
    (series,) = database.read_now(lambda c: metrics.series(c, 1))
    assert (series.n, series.min, series.max, series.last, series.last_x) == (3, 2.0, 4.0, 2.0, 3.0)


values = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flushes=st.lists(st.lists(st.tuples(st.integers(0, 2**53), values), min_size=1, max_size=6), max_size=5))
def test_that_any_flushes_come_back_whole(tmp_path_factory, flushes):
    folder = tmp_path_factory.mktemp("metrics")
    database = Database(folder / "h.sqlite3")
    try:
        database.write_now(lambda t: runs.insert(t, "u", make_spec(folder), "", 1))
        attempt, seq, ordinal = new_attempt(database), 0, 1
        for flush in flushes:
            rows = [(seq := seq + 1, x, value) for x, value in flush]
            ordinal = put(database, attempt, ordinal, steps(*rows))
        flat = [point for flush in flushes for point in flush]
        got = read(database).get("loss")
        assert (got is None) == (not flat)
        if got is not None:
            assert got.x.tolist() == [float(x) for x, _ in flat]
            assert got.value.tobytes() == np.array([value for _, value in flat]).tobytes()
            assert got.seq.tolist() == list(range(1, seq + 1))
    finally:
        database.close()
