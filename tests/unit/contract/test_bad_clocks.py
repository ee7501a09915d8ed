"""Clocks that jump: order and durations stay sane."""

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from engine.cli.output import span
from engine.contract.clock import Clock, now
from engine.contract.states import RunState
from engine.control.jobs import transitions
from engine.control.store import runs
from engine.control.store.database import Database
from tests.helpers.controller import make_spec, take_next


class Hands:
    """A wall clock that somebody sets and a steady one that nobody can."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_790_000_000.0, 50.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def wait(self, seconds: float, jump: float = 0.0) -> float:
        """Time passes, and the wall clock is set meanwhile."""
        self.steady += seconds
        self.wall += seconds + jump
        return self.clock.now()


def test_that_a_clock_set_back_goes_on_at_its_pace():
    hands = Hands()
    began = hands.wait(1)
    assert hands.wait(10, jump=-3600) - began == 10
    assert hands.wait(5) - began == 15


def test_that_a_clock_set_forward_is_followed():
    hands = Hands()
    began = hands.wait(1)
    assert hands.wait(10, jump=3600) - began == 3610
    hands.wait(10, jump=-7200)
    assert hands.wait(8000, jump=7200) == hands.wall  # and caught up with


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e9, 1e9))))
def test_that_time_never_goes_back_and_never_stands_behind_the_wall(jumps):
    hands = Hands()
    last = hands.clock.now()
    for seconds, jump in jumps:
        later = hands.wait(seconds, jump)
        assert later >= last
        assert later >= hands.wall
        last = later


def test_that_the_queue_keeps_its_order_when_the_clock_is_set_back(tmp_path):
    hands, database = Hands(), Database(tmp_path / "history.sqlite3")

    def add(transaction, uid, at):
        run_id = runs.insert(transaction, uid, make_spec(tmp_path, uid), "", at)
        transitions.move(transaction, run_id, RunState.QUEUED, actor="test", at=at)

    for uid, jump in (("first", 0), ("second", -86_400), ("third", 0), ("fourth", 3600), ("fifth", -7200)):
        at = hands.wait(1, jump)
        database.write_now(lambda t, uid=uid, at=at: add(t, uid, at))
    order = []
    for _ in range(5):
        claim = database.write_now(lambda t: take_next(t, {"gpu": 9, "cpu": 9, "light": 9}, [], "fake", now()))
        order.append(claim.uid)
    assert order == ["first", "second", "third", "fourth", "fifth"]
    with_negative = database.read_now(_negative)
    database.close()
    assert with_negative == 0


def _negative(connection: sqlite3.Connection) -> int:
    """Runs that began before they waited, or waited before they were made."""
    sql = "SELECT count(*) FROM run WHERE queued < created"
    return int(connection.execute(sql).fetchone()[0])


def test_that_no_span_is_shown_as_negative():
    assert "-" not in span(-5.0)
