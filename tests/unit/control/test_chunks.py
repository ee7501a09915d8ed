"""Sealed pieces of curves: bit for bit, and damage found."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.pyramid import Damaged
from engine.control.store import chunks
from engine.control.store.chunks import Columns, Key

whole = st.integers(-(2**63), 2**63 - 1)
bits = st.integers(0, 2**64 - 1)


def columns(rows):
    seq, x, t = (np.array([row[place] for row in rows], np.int64) for place in range(3))
    return Columns(seq, x, t, np.array([row[3] for row in rows], np.uint64).view(np.float64))


def key(points, **changes):
    known = {"series": 1, "attempt": 2, "ordinal": 3, "n": len(points), "first_x": 0, "last_x": 9}
    return Key(**{**known, **changes})


def same(a, b):
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in ("seq", "x", "t", "value"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(whole, whole, whole, bits), min_size=1, max_size=80))
def test_that_any_bits_come_back(rows):
    points = columns(rows)
    data = chunks.encode(key(points), chunks.pack_places(points), points.value)
    assert same(chunks.decode(chunks.CODEC, key(points), data), points)


def test_that_every_sort_of_nan_and_clock_survives():
    nans = [struct.unpack("<Q", struct.pack("<d", float("nan")))[0] | n for n in range(5)] + [0x7FF0000000000001]
    values = [*nans, 0xFFF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x8000000000000000, 1]
    t = [1_795_228_437_484_377, 1_795_228_437_484_377, -5, 0, 2**62]  # repeated, before 1970, far ahead
    x = [5, 5, 2, 10**15, -3]
    rows = [(n + 1 + 7 * (n > 4), x[n % 5], t[n % 5], value) for n, value in enumerate(values)]
    points = columns(rows)
    data = chunks.encode(key(points), chunks.pack_places(points), points.value)
    assert same(chunks.decode(chunks.CODEC, key(points), data), points)


def test_that_any_changed_byte_or_missing_end_is_found():
    points = columns([(n, n, n * 10**6, n) for n in range(40)])
    data = chunks.encode(key(points), chunks.pack_places(points), points.value)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(Damaged):
            chunks.decode(chunks.CODEC, key(points), bytes(changed))
        with pytest.raises(Damaged):
            chunks.decode(chunks.CODEC, key(points), data[:place])


@pytest.mark.parametrize("change", [{"series": 9}, {"attempt": 9}, {"ordinal": 9}, {"n": 39}, {"last_x": 8}])
def test_that_data_under_another_rows_name_is_found(change):
    points = columns([(n, n, n, n) for n in range(40)])
    data = chunks.encode(key(points), chunks.pack_places(points), points.value)
    with pytest.raises(Damaged):
        chunks.decode(chunks.CODEC, key(points, **change), data)
    with pytest.raises(Damaged):
        chunks.decode(chunks.CODEC + 1, key(points), data)
