"""Curves: appended, refetched and thinned without losing or doubling a point."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forge_desktop.bridge.backend import SeriesPart
from forge_desktop.models.curves import Curve, smoothed, thinned


def part(attempts, xs, values) -> SeriesPart:
    return SeriesPart(np.array(attempts, np.int32), np.array(xs, float), np.array(xs, float), np.array(values, float))


def test_that_live_points_that_are_here_already_are_left_out():
    curve = Curve()
    curve.replace(part([1, 1], [1, 2], [3.0, 2.0]))
    curve.append(1, [(2, 0, 2.0), (3, 0, 1.0)])
    assert curve.x.tolist() == [1, 2, 3]


def test_that_a_refetch_keeps_newer_live_points():
    curve = Curve()
    curve.append(1, [(5, 0, 5.0), (6, 0, 6.0)])
    curve.replace(part([1] * 5, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]))
    assert curve.x.tolist() == [1, 2, 3, 4, 5, 6]


def test_that_the_latest_attempt_is_shown_for_each_step():
    curve = Curve()
    curve.replace(part([1, 1, 1, 2, 2], [1, 2, 3, 2, 3], [9, 9, 9, 5, 4]))
    x, value = curve.shown()
    assert x.tolist() == [1, 2, 3]
    assert value.tolist() == [9, 5, 4]


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60))
def test_that_points_in_any_grouping_arrive_once_and_in_order(groups):
    curve, at = Curve(), 0
    for number, repeat in groups:
        start = max(0, at - 3) if repeat else at
        points = [(float(x), 0.0, float(x)) for x in range(start, at + number)]
        curve.append(1, points)
        at += number
    assert curve.x.tolist() == [float(x) for x in range(at)]


@given(st.integers(0, 3000), st.integers(1, 400), st.integers(0, 10**6))
def test_that_thinning_keeps_the_extremes(number, pixels, seed):
    value = np.random.default_rng(seed).normal(size=number)
    x = np.arange(number, dtype=float)
    few_x, few = thinned(x, value, pixels)
    assert len(few_x) <= max(number if number <= 2 * pixels else 0, 3 * pixels)
    assert np.all(np.diff(few_x) >= 0)
    if number:
        assert few.max() == value.max()
        assert few.min() == value.min()


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
