"""Curves read piece by piece: every point once, whatever happens between two pieces."""

from __future__ import annotations

import numpy as np
import pytest

from engine.control.store import attempts, metrics, pieces, runs
from engine.control.store.database import Database
from engine.control.store.metrics import Block, Row
from engine.control.store.pieces import Place
from tests.helpers.controller import make_spec

FLUSH = 300


class History:
    """One run that grows."""

    def __init__(self, folder) -> None:
        self.database = Database(folder / "history.sqlite3")
        self.database.write_now(lambda t: runs.insert(t, "u", make_spec(folder), "", 1))
        self.seq, self.ordinal, self.attempt = 0, 1, 0

    def begin(self) -> None:
        self.attempt = self.database.write_now(
            lambda t: attempts.insert(t, 1, cause="first", lease="l", spec="{}", at=1)[0]
        )
        self.seq, self.ordinal = 0, 1

    def grow(self, first: int, last: int, end: bool = False) -> None:
        for begin in range(first, last + 1, FLUSH):
            block = Block("step", ("loss",))
            for step in range(begin, min(begin + FLUSH, last + 1)):
                self.seq += 1
                block.rows.append(Row(self.seq, step, 10.0 * self.attempt + step / 8, {"loss": 1.0 / step}))
            self.ordinal = self.database.write_now(
                lambda t, b=block: metrics.append(t, 1, self.attempt, self.ordinal, [b], end)
            )

    def next(self, place: Place, most: int = 1000):
        return self.database.read_now(lambda c: pieces.read(c, 1, "loss", place, most))

    def told(self):
        return self.database.read_now(lambda c: metrics.read(c, 1, ["loss"]))[0]


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path)
    yield made
    made.database.close()


def rest_of(history: History, place: Place | None) -> list:
    found = []
    while place is not None:
        points, place = history.next(place)
        found += [points] if points is not None else []
    return found


def check(found: list, told) -> None:
    for name in ("attempt", "seq", "x", "t", "value"):
        assert np.array_equal(np.concatenate([getattr(one, name) for one in found]), getattr(told, name))


def test_that_the_pieces_together_are_the_curve(history):
    history.begin()
    history.grow(1, 5000, end=True)
    history.begin()  # it measured nothing
    history.begin()
    history.grow(4000, 6100)
    history.grow(2000, 2100)  # steps that go back
    found = rest_of(history, Place())
    assert len(found) > 5
    assert max(len(one.x) for one in found) < 3000
    check(found, history.told())


def test_that_points_that_are_sealed_between_two_pieces_come_once(history):
    history.begin()
    history.grow(1, 2500)
    earlier = history.attempt, history.seq, history.ordinal
    history.begin()
    history.grow(4000, 4200)
    first, place = history.next(Place())
    second, place = history.next(place)
    assert second.seq[-1] == 2500  # the tail is among them
    history.attempt, history.seq, history.ordinal = earlier
    history.grow(2501, 2600, end=True)
    check([first, second, *rest_of(history, place)], history.told())


def test_that_a_curve_that_grows_is_not_waited_for(history):
    history.begin()
    history.grow(1, 100)
    points, place = history.next(Place())
    assert (len(points.x), place) == (100, None)


def test_that_a_curve_nobody_knows_has_no_piece(history):
    assert history.next(Place()) == (None, None)
    assert history.database.read_now(lambda c: pieces.read(c, 7, "loss", Place())) == (None, None)
