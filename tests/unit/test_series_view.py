"""What a chart draws: whatever the window, the line's least and greatest value are those of the points in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.pyramid import Pyramid
from forge_desktop.bridge.overwriting import split
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.models import chart_ticks
from forge_desktop.models.curves import Curve, smoothed
from forge_desktop.models.series_view import CurveSource, averaged, gaps, outline

ODD = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300])


@st.composite
def journals(draw):
    """Attempts that begin anywhere before the end of the last one; noisy values, odd ones here and there."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    attempts, xs = [], []
    reached = 0
    for number in range(1, draw(st.integers(1, 4)) + 1):
        first = int(chance.integers(0, reached + 1))
        n = draw(st.integers(1, 3000))
        xs.append(first + np.cumsum(chance.integers(1, 3, n)).astype(float))
        attempts.append(np.full(n, number, np.int32))
        reached = int(xs[-1][-1])
    x, attempt = np.concatenate(xs), np.concatenate(attempts)
    value = chance.normal(size=len(x))
    for place, odd in draw(st.lists(st.tuples(st.integers(0, len(x) - 1), ODD), max_size=6)):
        value[place] = odd
    return attempt, x, 1_790_000_000.0 + np.arange(len(x)) * 0.5, value


def fed(journal, cuts: int) -> tuple[Curve, CurveSource]:
    """A curve that got part of its points at once and the rest live, looked at after every piece."""
    attempt, x, t, value = journal
    curve = Curve()
    source = CurveSource(curve)
    pieces = np.array_split(np.arange(len(x)), cuts)
    curve.replace(SeriesPart(attempt[pieces[0]], x[pieces[0]], t[pieces[0]], value[pieces[0]]))
    source.refresh()
    for piece in pieces[1:]:
        for number in np.unique(attempt[piece]):
            mine = piece[attempt[piece] == number]
            curve.append(int(number), list(zip(x[mine], t[mine], value[mine], strict=True)))
        source.refresh()
    return curve, source


def extremes(y) -> tuple[float, float] | None:
    finite = y[np.isfinite(y)]
    return (finite.min(), finite.max()) if len(finite) else None


@settings(max_examples=80, deadline=None)
@given(
    journal=journals(),
    cuts=st.integers(1, 7),
    a=st.floats(0, 1),
    b=st.floats(0, 1),
    columns=st.sampled_from([7, 50, 900]),
)
def test_that_the_drawn_envelope_of_any_window_is_that_of_the_points(journal, cuts, a, b, columns):
    _curve, source = fed(journal, cuts)
    attempt, x, _t, value = journal
    shown, lost = split(attempt, x)
    low, high = sorted((a * x.max(), b * x.max()))
    high = max(high, low + 1e-3)
    buckets = source.view(low, high, 2 * columns)
    inside = shown[(x[shown] >= low) & (x[shown] <= high)]
    line_x, line_y = outline(buckets, (low, high), columns)
    around = buckets[(buckets["x_last"] >= low) & (buckets["x_first"] <= high)]
    if buckets["n"].max(initial=0) <= 1:  # point by point, one beyond the window on either side
        assert extremes(around["first"]) == extremes(value[inside])
    else:
        covered = shown[(x[shown] >= buckets["x_first"].min()) & (x[shown] <= buckets["x_last"].max())]
        assert extremes(line_y) == extremes(value[covered])
        assert len(covered) <= len(inside) + 2  # nothing beyond a neighbour on either side is drawn
    seen = (line_x >= low) & (line_x <= high)
    assert seen.sum() <= max(2 * columns, 2)
    odd = inside[~np.isfinite(value[inside])]
    assert (len(gaps(around)) > 0) == (len(odd) > 0) or len(gaps(buckets)) >= (len(odd) > 0)
    gone = np.concatenate([part["max"] for part in source.lost(low, high, 2 * columns)] or [np.empty(0)])
    mine = lost[(x[lost] >= low) & (x[lost] <= high)]
    top = extremes(value[mine])
    assert (extremes(gone) or (0, None))[1] == (top[1] if top else None)


@settings(max_examples=40, deadline=None)
@given(journal=journals(), cuts=st.integers(1, 9))
def test_that_telling_apart_piece_by_piece_equals_telling_apart_at_once(journal, cuts):
    curve, source = fed(journal, cuts)
    attempt, x, _t, value = journal
    shown, lost = split(attempt, x)
    assert np.array_equal(curve.places(), shown)
    assert np.array_equal(curve.lost_places(), lost)
    assert np.array_equal(source.pyramid.x, x[shown])
    assert np.array_equal(source.pyramid.y, value[shown], equal_nan=True)


def test_that_a_curve_that_goes_on_is_not_built_anew():
    curve, source = fed((np.ones(5000, np.int32), np.arange(5000.0), np.arange(5000.0), np.zeros(5000)), 1)
    built = source.pyramid
    curve.append(1, [(5000.0 + n, 5000.0 + n, 1.0) for n in range(300)])
    source.refresh()
    assert source.pyramid is built
    assert len(built) == 5300
    curve.append(2, [(100.0, 9000.0, 7.0)])
    source.refresh()
    assert source.pyramid.x[-1] == 100.0
    assert [len(part) for part in source.lost(0, 1e9, 10_000)] == [5200]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 9000), weight=st.floats(0.01, 0.999), at=st.floats(0, 1))
def test_that_few_points_are_smoothed_exactly_wherever_one_looks(seed, n, weight, at):
    chance = np.random.default_rng(seed)
    value = chance.normal(size=n)
    value[chance.random(n) < 0.05] = np.nan
    _curve, source = fed((np.ones(n, np.int32), np.arange(float(n)), np.arange(float(n)), value), 1)
    low = math.floor(at * n)
    x, y = source.smooth(low, low + 500, 1 << 20, weight)
    whole = smoothed(value, weight)
    assert np.allclose(y, whole[x.astype(int)], rtol=1e-3, atol=1e-4, equal_nan=True)
    assert x[0] <= low or low >= n


def test_that_many_points_are_smoothed_closely_by_their_buckets():
    n = 300_000
    x = np.arange(float(n))
    value = np.sin(x / 3e4) + np.random.default_rng(1).normal(0, 0.1, n)
    _curve, source = fed((np.ones(n, np.int32), x, x, value), 1)
    few_x, few = source.smooth(0, n, 2000, 0.999)
    assert len(few_x) <= 4000
    assert np.abs(few - smoothed(value, 0.999)[few_x.astype(int)]).max() < 0.05


def test_that_the_average_before_the_first_number_is_none():
    curve = Pyramid()
    curve.extend(np.arange(3.0), np.array([np.nan, 2.0, np.nan]))
    assert np.array_equal(averaged(curve.piece(0, 3, 10), 0.9), [np.nan, 2.0, 2.0], equal_nan=True)


@given(n=st.integers(0, 4000), keep=st.integers(0, 4000), more=st.integers(0, 3000))
@settings(max_examples=30, deadline=None)
def test_that_a_pyramid_that_was_cut_goes_on_like_a_new_one(n, keep, more):
    chance = np.random.default_rng(n + keep)
    first, second = chance.normal(size=n), chance.normal(size=more)
    one, other = Pyramid(), Pyramid()
    one.extend(np.arange(float(n)), first)
    one.cut(keep)
    kept = min(n, keep)
    both = np.concatenate([first[:kept], second])
    one.extend(np.arange(float(kept), kept + more), second)
    other.extend(np.arange(float(len(both))), both)
    assert one.view(limit=20).tobytes() == other.view(limit=20).tobytes()
    assert one.view(limit=2000).tobytes() == other.view(limit=2000).tobytes()


def test_that_time_and_tokens_stand_along_x():
    curve, tokens = Curve(), Curve()
    steps = np.arange(1.0, 5)
    curve.replace(SeriesPart(np.ones(4, np.int32), steps, 1000 + 2 * steps, steps / 10))
    tokens.replace(SeriesPart(np.ones(4, np.int32), steps, steps, 512 * steps))
    source = CurveSource(curve, "relative", origin=1000.0, tokens=tokens)
    assert source.extent() == (2.0, 8.0)
    source.set_axis("time")
    assert source.extent() == (1002.0, 1008.0)
    source.set_axis("tokens_seen")
    assert source.extent() == (512.0, 2048.0)
    assert source.at_step(3.0) == 1536.0
    assert source.near(1500.0) == (1536.0, 0.3)
    assert (source.beside(1536.0, 1), source.beside(1536.0, -1), source.beside(2048.0, 1)) == (2048.0, 1024.0, None)


@given(low=st.floats(-1e9, 1e9), span=st.floats(1e-6, 1e9), count=st.integers(2, 12))
def test_that_ticks_lie_within_the_axis_and_say_different_things(low, span, count):
    if low + span <= low or span < 1e-9 * abs(low):
        return
    ticks = chart_ticks.plain_ticks(low, low + span, count)
    assert all(low - 1e-6 * span <= place <= low + span * (1 + 1e-6) for place, _ in ticks)
    assert len(ticks) <= 2 * count + 2


@pytest.mark.parametrize(
    ("make", "low", "high", "texts"),
    [
        (chart_ticks.plain_ticks, 0, 8000, ["0", "2,000", "4,000", "6,000", "8,000"]),
        (chart_ticks.plain_ticks, 0, 2.6, ["0", "1", "2"]),
        (chart_ticks.plain_ticks, 0, 2e-4, ["0", "5e-5", "1e-4", "1.5e-4", "2e-4"]),
        (chart_ticks.plain_ticks, 0, 4e6, ["0", "1 M", "2 M", "3 M", "4 M"]),
        (chart_ticks.log_ticks, -3, 2, ["0.001", "0.01", "0.1", "1", "10", "100"]),
        (chart_ticks.span_ticks, 0, 3600, ["0 s", "15:00", "30:00", "45:00", "1:00:00"]),
    ],
)
def test_what_ticks_say(make, low, high, texts):
    assert [text for _, text in make(low, high, 4 if make is not chart_ticks.log_ticks else 6)] == texts
