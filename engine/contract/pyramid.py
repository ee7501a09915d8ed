"""The one min/max pyramid: curves at fewer points than they have, without losing a spike.

A bucket stands for neighbouring points of a curve: least and greatest x, least, greatest, first, last and mean
value, and how many points there are. Minimum, maximum and mean are over finite values only; NaN and infinities are
counted beside them. History and charts share this format. Nothing that starts the desktop imports this module.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LEVELS = (64, 256, 1024)
"""Points in a bucket of each level. Finer views are made from the points themselves, which costs no more."""
COARSER = 1.5
BUCKET = np.dtype(
    [(name, "<f8") for name in ("x_first", "x_last", "min", "max", "first", "last", "mean")]
    + [(name, "<u4") for name in ("n", "nan", "plus", "minus")]
)
NAN, PLUS, MINUS = 1, 2, 4
"""Flags of a bucket that holds NaN, +infinity, -infinity."""
_HEAD = struct.Struct("<IHH")
_VERSION = 1


class Damaged(ValueError):
    """Stored bytes are not what was stored."""


def of_points(x: Array, y: Array, size: int = 1) -> Array:
    """Buckets of `size` points each, in the order given; the last may hold fewer."""
    starts = np.arange(0, len(x), size)
    buckets = np.zeros(len(starts), BUCKET)
    if not len(starts):
        return buckets
    buckets["n"] = np.diff(starts, append=len(x))
    buckets["x_first"], buckets["x_last"] = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    buckets["first"], buckets["last"] = y[starts], y[starts + buckets["n"] - 1]
    finite = np.isfinite(y)
    low = high = plain = y
    if not finite.all():
        low, high, plain = np.where(finite, y, np.inf), np.where(finite, y, -np.inf), np.where(finite, y, 0.0)
        for name, found in (("nan", np.isnan(y)), ("plus", y == np.inf), ("minus", y == -np.inf)):
            buckets[name] = np.add.reduceat(found.astype(np.uint32), starts)
    buckets["min"], buckets["max"] = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    count = finite_points(buckets)
    mean = np.add.reduceat(plain / np.repeat(np.maximum(count, 1), buckets["n"]), starts)  # so that none overflows
    buckets["mean"] = np.clip(mean, buckets["min"], buckets["max"])
    for name in ("min", "max", "mean"):
        buckets[name][count == 0] = np.nan
    return buckets


def coarsen(buckets: Array, count: int) -> Array:
    """Merge every `count` neighbours into one."""
    return merge(buckets, np.arange(0, len(buckets), count))


def merge(buckets: Array, starts: Array) -> Array:
    """Merge neighbours into groups that begin at `starts`, the first of which is 0."""
    merged = np.empty(len(starts), BUCKET)
    if not len(starts):
        return merged
    sizes = np.diff(starts, append=len(buckets))
    merged["x_first"] = np.minimum.reduceat(buckets["x_first"], starts)
    merged["x_last"] = np.maximum.reduceat(buckets["x_last"], starts)
    merged["min"] = np.fmin.reduceat(buckets["min"], starts)
    merged["max"] = np.fmax.reduceat(buckets["max"], starts)
    merged["first"] = buckets["first"][starts]
    merged["last"] = buckets["last"][starts + sizes - 1]
    for name in ("n", "nan", "plus", "minus"):
        merged[name] = np.add.reduceat(buckets[name], starts)
    merged["mean"] = _mean(buckets, merged, starts, sizes)
    return merged


def _mean(buckets: Array, merged: Array, starts: Array, sizes: Array) -> Array:
    """By shares of the whole, so that no sum can overflow."""
    whole = finite_points(merged)
    share = finite_points(buckets) / np.repeat(np.maximum(whole, 1), sizes)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        mean = np.add.reduceat(np.where(share > 0, buckets["mean"] * share, 0.0), starts)
        return np.where(whole > 0, np.clip(mean, merged["min"], merged["max"]), np.nan)


def finite_points(buckets: Array) -> Array:
    """How many values of each bucket are numbers."""
    odd = buckets["nan"].astype(np.int64) + buckets["plus"] + buckets["minus"]
    return np.asarray(buckets["n"] - odd)


def flags(buckets: Array) -> Array:
    """What each bucket holds besides numbers: NAN | PLUS | MINUS."""
    found = (buckets["nan"] > 0) * NAN + (buckets["plus"] > 0) * PLUS + (buckets["minus"] > 0) * MINUS
    return np.asarray(found, np.uint8)


def build(x: Array, y: Array) -> list[Array]:
    """The levels of a piece of a curve, finest first, up to the first that is one bucket."""
    levels = [of_points(x, y, LEVELS[0])]
    for finer, coarser in itertools.pairwise(LEVELS):
        if len(levels[-1]) <= 1:
            break
        levels.append(coarsen(levels[-1], coarser // finer))
    return levels


def pack(levels: Sequence[Array]) -> bytes:
    """The levels as bytes that `unpack` can check."""
    lengths = struct.pack(f"<{len(levels)}I", *(len(level) for level in levels))
    rows = np.concatenate(levels).view(np.uint8).reshape(-1, BUCKET.itemsize)
    body = lengths + zlib.compress(rows.T.tobytes(), 1)  # like bytes beside each other compress best
    return _HEAD.pack(zlib.crc32(body), _VERSION, len(levels)) + body


def unpack(data: bytes, level: int) -> Array:
    """The buckets of one level (the coarsest there is, where it was not needed); Damaged if they changed."""
    try:
        checksum, version, count = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        if version != _VERSION or not count or zlib.crc32(body) != checksum:
            raise Damaged("checksum")
        lengths = struct.unpack_from(f"<{count}I", body)
        rows = np.frombuffer(zlib.decompress(body[4 * count :]), np.uint8).reshape(BUCKET.itemsize, sum(lengths))
    except (struct.error, zlib.error, ValueError) as error:
        raise Damaged(str(error)) from error
    place = min(LEVELS.index(level), count - 1)
    begin = sum(lengths[:place])
    return np.ascontiguousarray(rows[:, begin : begin + lengths[place]].T).view(BUCKET).reshape(-1)


def size_for(points: int, limit: int) -> int:
    """How many points a bucket must take so that at most `limit` are needed."""
    return max(1, -(-points // max(1, limit)))


def level_for(size: int) -> int:
    """The coarsest level for buckets of `size` points; 1: the points themselves.

    A level may be somewhat coarser than asked for: fewer buckets than allowed are had much sooner than from points.
    """
    return max((level for level in LEVELS if level <= COARSER * size), default=1)


def group(buckets: Array, size: int) -> Array:
    """Merge neighbours into buckets of about `size` points: ceil(points / size) of them at most."""
    count = buckets["n"].astype(np.int64)
    places = (np.cumsum(count) - count) // size
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    return buckets if len(starts) == len(buckets) else merge(buckets, starts)


class Pyramid:
    """A growing curve in memory and its pyramid, for charts."""

    def __init__(self) -> None:
        self._x, self._y = _Growing(np.dtype("<f8")), _Growing(np.dtype("<f8"))
        self._levels = [_Growing(BUCKET) for _ in LEVELS]
        self._rising = True

    def __len__(self) -> int:
        return self._x.count

    @property
    def x(self) -> Array:
        """x of all points."""
        return self._x.array

    @property
    def y(self) -> Array:
        """Values of all points."""
        return self._y.array

    @property
    def rising(self) -> bool:
        """Every x is at least the one before it, so that a range of x is an unbroken piece of the curve."""
        return self._rising

    def extend(self, x: Array, y: Array) -> None:
        """Add points at the end; only what they complete is computed."""
        joint = np.concatenate([self._x.array[-1:], x])
        self._rising = self._rising and bool(np.all(joint[1:] >= joint[:-1]))
        self._x.extend(x)
        self._y.extend(y)
        finest, size = self._levels[0], LEVELS[0]
        begin, end = finest.count * size, len(self) // size * size
        if begin == end:
            return
        finest.extend(of_points(self._x.array[begin:end], self._y.array[begin:end], size))
        for place in range(1, len(LEVELS)):
            finer, coarser = self._levels[place - 1], self._levels[place]
            ratio = LEVELS[place] // LEVELS[place - 1]
            coarser.extend(coarsen(finer.array[coarser.count * ratio : finer.count // ratio * ratio], ratio))

    def cut(self, count: int) -> None:
        """Keep the first `count` points only."""
        self._x.count = self._y.count = min(count, len(self))
        for size, level in zip(LEVELS, self._levels, strict=True):
            level.count = min(level.count, len(self) // size)

    def view(self, from_x: float = -np.inf, to_x: float = np.inf, limit: int = 2000) -> Array:
        """At most `limit` buckets of the points with from_x <= x <= to_x."""
        x, y = self._x.array, self._y.array
        if self._rising:
            first, last = np.searchsorted(x, from_x, "left"), np.searchsorted(x, to_x, "right")
            return self.piece(int(first), int(last), limit)
        within = (x >= from_x) & (x <= to_x)
        size = size_for(int(np.count_nonzero(within)), limit)
        level = level_for(size)
        if level == 1:
            return of_points(x[within], y[within], size)
        ready = self._levels[LEVELS.index(level)].array
        inside = (ready["x_first"] >= from_x) & (ready["x_last"] <= to_x)
        within[: len(ready) * level] &= ~np.repeat(inside, level)
        alone, whole = np.flatnonzero(within), np.flatnonzero(inside)
        buckets = np.concatenate([ready[inside], of_points(x[alone], y[alone])])
        return group(buckets[np.argsort(np.concatenate([whole * level, alone]), kind="stable")], size)

    def piece(self, first: int, last: int, limit: int = 2000, most: int = 0) -> Array:
        """At most `limit` buckets of the points number `first` up to, not including, `last`.

        Up to `most` may be had sooner: those of a level as they are, without merging them anew each time.
        """
        first, last = max(0, first), min(last, len(self))
        x, y = self._x.array, self._y.array
        size = size_for(max(0, last - first), limit)
        level = level_for(size)
        if level == 1:
            return of_points(x[first:last], y[first:last], size)
        ready = self._levels[LEVELS.index(level)].array
        begin = min(-(-first // level), len(ready))
        end = max(begin, min(last // level, len(ready)))
        head, tail = slice(first, min(last, begin * level)), slice(max(first, end * level), last)
        every = np.concatenate([of_points(x[head], y[head]), ready[begin:end], of_points(x[tail], y[tail])])
        return every if len(every) <= most else group(every, size)


class _Growing:
    """An array with room at its end."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._room, self.count = np.empty(1024, kind), 0

    @property
    def array(self) -> Array:
        return self._room[: self.count]

    def extend(self, more: Array) -> None:
        needed = self.count + len(more)
        if needed > len(self._room):
            room = np.empty(max(needed, 2 * len(self._room)), self._room.dtype)
            room[: self.count] = self.array
            self._room = room
        self._room[self.count : needed] = more
        self.count = needed
