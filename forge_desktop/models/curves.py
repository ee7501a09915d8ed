"""Curves that grow: points by attempt and x, and the view a chart draws of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge_desktop.bridge.backend import Floats, SeriesPart

BLOCK = 128
"""Steps that are smoothed at once."""


class Curve:
    """Points of one metric in the order of the journal, which alone is the truth: steps may repeat and go back.

    They come in two ways: fetched as a whole, and live one after another. What is live since the last break of the
    line is an unbroken piece of the journal that begins somewhere in what is fetched afterwards, or at its end. So
    the two are laid over one another where the first live point is found, and nothing is known by its step alone.
    """

    def __init__(self) -> None:
        self._attempt: NDArray[np.int32] = np.empty(256, np.int32)
        self._x: Floats = np.empty(256)
        self._t: Floats = np.empty(256)
        self._value: Floats = np.empty(256)
        self._n = 0
        self._live: int | None = None
        """Where the live piece begins; None while nothing came live since the last break."""
        self._next = 0
        """Where the next live point belongs, once some came."""
        self._split: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
        self._since: tuple[tuple[int, float], ...] = ()

    def __len__(self) -> int:
        return self._n

    def break_off(self) -> None:
        """The line was down: what comes live from now on need not follow what came before."""
        self._live = None

    def replace(self, part: SeriesPart) -> None:
        """Take fetched points instead of what is here, then the live ones that they do not hold yet."""
        live = None if self._live is None else self._cut(slice(self._live, self._next))
        self._n, self._live, self._split = 0, None, None
        self._extend(SeriesPart(part.attempt, _micro(part.x), _micro(part.t), part.value))
        if live is not None:
            self._take(live)

    def append(self, attempt: int, points: list[tuple[float, float, float]]) -> None:
        """Take live points (x, t, value); those that were fetched already are left out."""
        if points:
            x, t, value = np.array(points, float).T
            self._take(SeriesPart(np.full(len(x), attempt, np.int32), _micro(x), _micro(t), value.copy()))

    def last(self) -> float | None:
        """The newest value."""
        return float(self._value[self._n - 1]) if self._n else None

    @property
    def attempt(self) -> NDArray[np.int32]:
        """Attempt of all points, in the order they were made."""
        return self._attempt[: self._n]

    @property
    def x(self) -> Floats:
        """x of all points."""
        return self._x[: self._n]

    @property
    def t(self) -> Floats:
        """Wall time of all points."""
        return self._t[: self._n]

    @property
    def value(self) -> Floats:
        """Values of all points."""
        return self._value[: self._n]

    def set_begins(self, begins: list[tuple[int, float]]) -> None:
        """Where attempts begin, of a curve with points at every step: a later attempt overwrites from there on."""
        if tuple(begins) != self._since:
            self._since, self._split = tuple(begins), None

    def shown(self) -> tuple[Floats, Floats]:
        """x and value by rising x: for each step the latest point of the latest attempt that came so far."""
        shown = self._parts()[0]
        return self.x[shown], self.value[shown]

    def overwritten(self) -> tuple[Floats, Floats, NDArray[np.int32]]:
        """x, value and attempt of all points that a later one took the place of."""
        hidden = self._parts()[1]
        return self.x[hidden], self.value[hidden], self.attempt[hidden]

    def begins(self) -> list[tuple[int, float]]:
        """Each attempt and the first x it has."""
        numbers, first = np.unique(self.attempt, return_index=True)
        return [(int(number), float(self.x[place])) for number, place in zip(numbers, first, strict=True)]

    def _parts(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places of the points that are shown, and of those that were overwritten."""
        if self._split is None:
            self._split = split(self.attempt, self.x, self._since)
        return self._split

    def _take(self, live: SeriesPart) -> None:
        """Lay a piece of the journal over what is here, from the place where it belongs."""
        done = 0
        while done < len(live.x):
            if self._live is None or (self._next < self._n and not self._same(self._next, live, done)):
                self._next = self._find(live, done)
                self._live = self._next if self._live is None else min(self._live, self._next)
            if self._next >= self._n:
                break
            done, self._next = done + 1, self._next + 1
        if done < len(live.x):
            self._extend(SeriesPart(live.attempt[done:], live.x[done:], live.t[done:], live.value[done:]))
            self._next = self._n

    def _find(self, live: SeriesPart, at: int) -> int:
        """Where a live point stands already; behind all others if nowhere."""
        there = (self.t == live.t[at]) & (self.x == live.x[at]) & (self.attempt == live.attempt[at])
        places = [int(place) for place in np.flatnonzero(there) if self._same(int(place), live, at)]
        return places[0] if places else self._n

    def _same(self, place: int, live: SeriesPart, at: int) -> bool:
        mine, other = float(self._value[place]), float(live.value[at])
        return bool(
            self._attempt[place] == live.attempt[at]
            and self._x[place] == live.x[at]
            and self._t[place] == live.t[at]
            and (mine == other or (mine != mine and other != other))
        )

    def _cut(self, where: slice) -> SeriesPart:
        return SeriesPart(
            self.attempt[where].copy(), self.x[where].copy(), self.t[where].copy(), self.value[where].copy()
        )

    def _extend(self, part: SeriesPart) -> None:
        end = self._n + len(part.x)
        if end > len(self._x):
            room = max(end, 2 * len(self._x))
            self._attempt, self._x = _grown(self._attempt, room), _grown(self._x, room)
            self._t, self._value = _grown(self._t, room), _grown(self._value, room)
        self._attempt[self._n : end], self._x[self._n : end] = part.attempt, part.x
        self._t[self._n : end], self._value[self._n : end] = part.t, part.value
        self._n = end
        self._split = None


def split(
    attempt: NDArray[np.int32], x: Floats, since: tuple[tuple[int, float], ...] = ()
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the points to show, by rising x, and of those that were overwritten, in the order of the journal.

    A later attempt overwrites everything from its first step on; a repeated step overwrites the one before.
    """
    number = len(x)
    every = np.arange(number)
    known = dict(since)
    if number == 0 or (
        attempt[0] == attempt[-1] and max(known, default=0) <= attempt[0] and bool(np.all(np.diff(x) > 0))
    ):
        return every, every[:0]
    keep = np.ones(number, bool)
    first_later = np.inf
    for one in sorted({*np.unique(attempt).tolist(), *known}, reverse=True):
        mine = attempt == one
        keep[mine] = x[mine] < first_later
        first_later = min(first_later, known.get(one, np.inf), float(x[mine].min(initial=np.inf)))
    kept = every[keep]
    kept = kept[np.argsort(x[kept], kind="stable")]
    last_of_step = np.append(x[kept][1:] != x[kept][:-1], True) if len(kept) else np.empty(0, bool)
    shown = kept[last_of_step]
    hidden = np.ones(number, bool)
    hidden[shown] = False
    return shown, every[hidden]


def _micro(values: Floats) -> Floats:
    """As the history keeps times: to the microsecond, so that a live point equals the same one fetched."""
    rounded: Floats = np.round(np.asarray(values, float) * 1e6) / 1e6
    return rounded


def _grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    made = np.empty(room, array.dtype)
    made[: len(array)] = array
    return made


def smoothed(values: Floats, weight: float) -> Floats:
    """Exponential moving average with bias correction; values that are no numbers carry no weight."""
    if weight <= 0 or len(values) == 0:
        return values
    finite = np.isfinite(values)
    total = _decayed_sum(finite.astype(float), weight)
    with np.errstate(invalid="ignore"):  # before the first number there is none
        return _decayed_sum(np.where(finite, values, 0.0), weight) / np.where(total > 0, total, np.nan)


def _decayed_sum(values: Floats, weight: float) -> Floats:
    """s[t] = weight · s[t-1] + values[t], by blocks: inside one as a matrix product, from one to the next in turn."""
    blocks = -(-len(values) // BLOCK)
    padded = np.zeros(blocks * BLOCK)
    padded[: len(values)] = values
    age = np.arange(BLOCK)[:, None] - np.arange(BLOCK)[None, :]
    inside = np.where(age >= 0, weight ** np.maximum(age, 0), 0.0)
    sums: Floats = padded.reshape(blocks, BLOCK) @ inside.T
    carry = weight ** np.arange(1, BLOCK + 1)
    for block in range(1, blocks):
        sums[block] += sums[block - 1, -1] * carry
    return sums.reshape(-1)[: len(values)]


def thinned(x: Floats, value: Floats, pixels: int) -> tuple[Floats, Floats]:
    """At most about two points a pixel, the least and greatest of each bucket, so that no spike is lost."""
    if len(x) <= 2 * pixels or pixels < 1:
        return x, value
    size = len(x) // pixels
    whole = size * pixels
    blocks = np.where(np.isfinite(value[:whole]), value[:whole], 0.0).reshape(pixels, size)
    base = np.arange(pixels) * size
    picks = np.sort(np.concatenate([base + blocks.argmin(axis=1), base + blocks.argmax(axis=1)]))
    picks = np.concatenate([picks, np.arange(whole, len(x))])
    return x[picks], value[picks]
