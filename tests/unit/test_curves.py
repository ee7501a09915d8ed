"""Curves: appended, refetched and thinned without losing or doubling a point."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forge_desktop.bridge.backend import SeriesPart
from forge_desktop.models.curves import Curve, smoothed


def part(attempts, xs, values) -> SeriesPart:
    return SeriesPart(np.array(attempts, np.int32), np.array(xs, float), np.array(xs, float), np.array(values, float))


def live(*points: tuple[int, float]) -> list[tuple[float, float, float]]:
    """Points (x, value) as they come live, made at the time that `part` gives them."""
    return [(float(x), float(x), value) for x, value in points]


def test_that_live_points_that_are_here_already_are_left_out():
    curve = Curve()
    curve.replace(part([1, 1], [1, 2], [3.0, 2.0]))
    curve.append(1, live((2, 2.0), (3, 1.0)))
    assert curve.x.tolist() == [1, 2, 3]


def test_that_a_refetch_keeps_newer_live_points():
    curve = Curve()
    curve.append(1, live((5, 5.0), (6, 6.0)))
    curve.replace(part([1] * 5, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]))
    assert curve.x.tolist() == [1, 2, 3, 4, 5, 6]


def test_that_a_step_that_comes_again_is_kept():
    curve = Curve()
    for t, step in enumerate([1, 2, 2, 1, 3]):
        curve.append(1, [(float(step), float(t), float(t))])
    assert curve.x.tolist() == [1, 2, 2, 1, 3]
    assert curve.shown()[1].tolist() == [3, 2, 4]
    assert curve.overwritten()[1].tolist() == [0, 1]


def test_that_the_latest_attempt_is_shown_for_each_step_and_the_rest_is_overwritten():
    curve = Curve()
    curve.replace(part([1, 1, 1, 1, 2, 2], [1, 2, 3, 4, 2, 3], [9, 9, 9, 9, 5, 4]))
    x, value = curve.shown()
    assert (x.tolist(), value.tolist()) == ([1, 2, 3], [9, 5, 4])
    lost_x, _, attempt = curve.overwritten()
    assert (lost_x.tolist(), attempt.tolist()) == ([2, 3, 4], [1, 1, 1])
    assert curve.begins() == [(1, 1.0), (2, 2.0)]


def test_that_a_later_attempt_overwrites_what_is_measured_seldom():
    curve = Curve()
    curve.replace(part([1, 1, 1], [25, 50, 75], [3, 2, 1]))
    curve.set_begins([(1, 1.0), (2, 61.0)])
    assert curve.shown()[0].tolist() == [25, 50]
    assert curve.overwritten()[0].tolist() == [75]


STEPS = st.lists(st.integers(-4, 5), min_size=1, max_size=12)
NUMBERS = st.floats(-10, 10) | st.sampled_from([math.nan, math.inf, -math.inf])
DEEDS = st.sampled_from(["write", "write", "deliver", "break", "ask", "answer"])


@given(st.lists(STEPS, min_size=1, max_size=4), st.lists(DEEDS, max_size=40), st.data())
def test_that_live_points_and_refetches_in_any_order_give_the_journal(attempts, deeds, data):
    """Steps repeat and go back; the line breaks; answers come late. At the end every point is there once, in order."""
    journal = make_journal(attempts, data)
    curve, written, told, asked = Curve(), 0, 0, None
    for deed in [*deeds, "write", "break", "ask", "answer"]:
        if deed == "write":
            written = data.draw(st.integers(written, len(journal)))
        elif deed == "deliver":
            upto = data.draw(st.integers(told, written))
            deliver(curve, journal[told:upto])
            told = upto
        elif deed == "break":  # what waits is lost; the new line begins with what is written from now on, or before
            curve.break_off()
            told = data.draw(st.integers(told, written))
            asked = None
        elif deed == "ask":
            asked = data.draw(st.integers(max(written, told), len(journal)))
            written = asked
        elif asked is not None:
            curve.replace(fetched(journal[:asked]))
            asked = None
    deliver(curve, journal[told:])
    whole = fetched(journal)
    for mine, theirs in zip((curve.attempt, curve.x, curve.t, curve.value), vars(whole).values(), strict=True):
        assert np.array_equal(mine, theirs, equal_nan=True)
    check_split(curve)


def make_journal(attempts, data) -> list[tuple[int, float, float, float]]:
    journal: list[tuple[int, float, float, float]] = []
    for number, moves in enumerate(attempts, 1):
        step = data.draw(st.integers(0, 20))
        for move in moves:
            step = max(0, step + move)
            at = 1_790_000_000.123456 + len(journal) * 0.37
            journal.append((number, float(step), at, data.draw(NUMBERS)))
    return journal


def deliver(curve, points) -> None:
    for attempt, x, t, value in points:
        curve.append(attempt, [(x, t, value)])


def fetched(journal) -> SeriesPart:
    attempt, x, t, value = zip(*journal, strict=True) if journal else ((), (), (), ())
    stored = np.round(np.array(t, float) * 1e6).astype(np.int64) / 1e6  # the history keeps whole microseconds
    return SeriesPart(np.array(attempt, np.int32), np.array(x, float), stored, np.array(value, float))


def check_split(curve) -> None:
    x, _ = curve.shown()
    assert np.all(np.diff(x) > 0)
    assert len(x) + len(curve.overwritten()[0]) == len(curve)
    for number, first in ((n, curve.x[curve.attempt == n].min()) for n in np.unique(curve.attempt)):
        later = curve.x[curve.attempt > number]
        if not len(later) or first < later.min():
            assert first in x


def test_that_smoothing_passes_over_values_that_are_no_numbers():
    smooth = smoothed(np.array([1.0, np.nan, 1.0, np.inf, 1.0]), 0.9)
    assert np.allclose(smooth, 1.0)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=600), st.floats(0.01, 0.999))
def test_that_smoothing_by_blocks_equals_smoothing_one_by_one(values, weight):
    expected, average, total = [], 0.0, 0.0
    for value in values:
        number = value == value
        average = weight * average + (value if number else 0.0)
        total = weight * total + number
        expected.append(average / total if total else float("nan"))
    assert np.allclose(smoothed(np.array(values, float), weight), expected, equal_nan=True, rtol=1e-6, atol=1e-6)
