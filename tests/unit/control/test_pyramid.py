"""The pyramid: at any zoom, what it shows is what is there."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import pyramid
from engine.contract.pyramid import LEVELS, Damaged, Pyramid

odd = st.sampled_from([np.nan, np.inf, -np.inf, -0.0, 1.7e308, -1.7e308])


@st.composite
def curves(draw):
    """A few to some thousand points; steps may stand still or go back; spikes and odd values anywhere."""
    seed, n = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 5000))
    chance = np.random.default_rng(seed)
    x = np.cumsum(chance.integers(0, 3, n)).astype(float)
    if n and draw(st.booleans()):
        back = int(chance.integers(0, n))
        x[back:] -= x[back] / 2
    y = chance.normal(size=n)
    for place, value in draw(st.lists(st.tuples(st.integers(0, 4999), odd), max_size=8)):
        if place < n:
            y[place] = value
    return x, y


def check(view, x, y, limit):
    """The view against the points it stands for."""
    assert len(view) <= limit
    assert view["n"].sum() == len(y)
    if not len(y):
        return
    finite = y[np.isfinite(y)]
    assert np.array_equal([view["nan"].sum(), view["plus"].sum(), view["minus"].sum()],
                          [np.isnan(y).sum(), (y == np.inf).sum(), (y == -np.inf).sum()])  # fmt: skip
    assert np.isfinite(view["mean"][pyramid.finite_points(view) > 0]).all()
    if len(finite):
        assert (np.nanmin(view["min"]), np.nanmax(view["max"])) == (finite.min(), finite.max())
    assert (view["x_first"].min(), view["x_last"].max()) == (x.min(), x.max())


@settings(max_examples=60, deadline=None)
@given(curve=curves(), a=st.floats(0, 1), b=st.floats(0, 1), limit=st.integers(1, 300), cuts=st.integers(1, 9))
def test_that_any_view_of_any_range_has_the_extremes_of_its_points(curve, a, b, limit, cuts):
    x, y = curve
    low, high = sorted((a * len(x) * 2, b * len(x) * 2))
    whole = Pyramid()
    for piece in np.array_split(np.arange(len(x)), cuts):
        whole.extend(x[piece], y[piece])
    within = (x >= low) & (x <= high)
    check(whole.view(low, high, limit), x[within], y[within], limit)
    check(whole.view(limit=limit), x, y, limit)


@settings(max_examples=30, deadline=None)
@given(curve=curves(), size=st.integers(1, 900))
def test_that_each_bucket_is_its_points(curve, size):
    x, y = curve
    buckets = pyramid.of_points(x, y, size)
    assert len(buckets) == -(-len(x) // size)
    for bucket, place in zip(buckets, range(0, len(x), size), strict=True):
        points = y[place : place + size]
        finite = points[np.isfinite(points)]
        assert bucket["n"] == len(points)
        assert bucket["first"].tobytes() == points[0].tobytes()
        assert bucket["last"].tobytes() == points[-1].tobytes()
        if not len(finite):
            assert np.isnan([bucket["min"], bucket["max"], bucket["mean"]]).all()
            continue
        assert (bucket["min"], bucket["max"]) == (finite.min(), finite.max())
        scaled = finite / 1e10  # their plain sum may overflow
        assert bucket["mean"] / 1e10 == pytest.approx(scaled.mean(), rel=1e-6, abs=1e-6 * np.abs(scaled).max())


def test_that_a_single_spike_among_a_million_points_is_seen():
    y = np.zeros(1_000_000)
    y[765_432] = 1e9
    curve = Pyramid()
    curve.extend(np.arange(1e6), y)
    view = curve.view(limit=500)
    assert len(view) <= 500
    (bucket,) = view[view["max"] > 0]
    assert bucket["max"] == 1e9
    assert bucket["x_first"] <= 765_432 <= bucket["x_last"]


def test_that_growing_piece_by_piece_gives_the_levels_of_the_whole():
    x, y = np.arange(5000.0), np.random.default_rng(1).normal(size=5000)
    curve = Pyramid()
    for place in range(0, 5000, 7):
        curve.extend(x[place : place + 7], y[place : place + 7])
    for level in LEVELS:
        whole = pyramid.of_points(x, y, level)
        got = curve.view(0, 5000 // level * level - 1, 5000 // level)
        assert np.array_equal(got["max"], whole["max"][: len(got)])


@given(curve=curves())
@settings(max_examples=20, deadline=None)
def test_that_what_is_packed_is_what_is_unpacked(curve):
    x, y = curve
    if not len(x):
        return
    levels = pyramid.build(x, y)
    data = pyramid.pack(levels)
    for place, level in enumerate(LEVELS):
        assert pyramid.unpack(data, level).tobytes() == levels[min(place, len(levels) - 1)].tobytes()


def test_that_any_changed_byte_of_a_packed_pyramid_is_found():
    data = pyramid.pack(pyramid.build(np.arange(300.0), np.arange(300.0)))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(Damaged):
            pyramid.unpack(bytes(changed), 64)
    for end in range(0, len(data), 5):
        with pytest.raises(Damaged):
            pyramid.unpack(data[:end], 64)


@pytest.mark.parametrize("module", ["engine.control.service", "engine.client.client", "forge_desktop.app"])
def test_that_nothing_that_starts_imports_it(module):
    code = f"import sys, {module}; sys.exit('engine.contract.pyramid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
