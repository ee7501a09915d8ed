"""Curves that grow: points by attempt and x, which of them are shown, and what is known only in buckets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge_desktop.bridge.backend import Floats, SeriesPart
from forge_desktop.bridge.backend_series import LongPart, SeriesView
from forge_desktop.bridge.overwriting import split

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
        self._shown: NDArray[np.intp] = np.empty(256, np.intp)
        self._shown_n = 0
        self._lost: NDArray[np.intp] = np.empty(0, np.intp)
        self._split_upto: int | None = None
        """How many points are told apart already; None: all of them anew."""
        self._since: tuple[tuple[int, float], ...] = ()
        self.generation = 0
        """Another number whenever what is shown changed in any other way than by points at its end."""
        self.coarse: SeriesView | None = None
        """Of a long curve: everything before its points, at few buckets."""
        self.fine: SeriesView | None = None
        """A piece of that at more of them."""
        self._coarse_end: tuple[int, float] = (0, -np.inf)

    def __len__(self) -> int:
        return self._n

    def break_off(self) -> None:
        """The line was down: what comes live from now on need not follow what came before."""
        self._live = None

    def replace(self, part: SeriesPart) -> None:
        """Take fetched points instead of what is here, then the live ones that they do not hold yet."""
        live = None if self._live is None else self._cut(slice(self._live, self._next))
        self._n, self._live = 0, None
        self.coarse, self.fine, self._coarse_end = None, None, (0, -np.inf)
        self._anew()
        self._extend(SeriesPart(part.attempt, _micro(part.x), _micro(part.t), part.value))
        if live is not None:
            self._take(live)

    def replace_long(self, part: LongPart) -> None:
        """Take buckets and the newest points of a long curve, then the live points that neither of them holds."""
        live = None if self._live is None else self._cut(slice(self._live, self._next))
        self.replace(part.tail)
        self.coarse, self._coarse_end = part.coarse, part.end
        if live is None:
            return
        last = (int(self.attempt[-1]), float(self.x[-1])) if self._n else part.end
        newer = (live.attempt > last[0]) | ((live.attempt == last[0]) & (live.x > last[1]))
        self._n, self._live = len(part.tail.x), None
        self._anew()
        self._take(SeriesPart(live.attempt[newer], live.x[newer], live.t[newer], live.value[newer]))

    def refine(self, view: SeriesView) -> None:
        """Take a finer view of a piece of what is held in buckets."""
        self.fine = view
        self.generation += 1

    @property
    def goes_back(self) -> bool:
        """A long curve that a newer attempt overwrites: its buckets need to be fetched anew."""
        return self.coarse is not None and self._n > 0 and int(self.attempt[-1]) > self._coarse_end[0]

    def append(self, attempt: int, points: list[tuple[float, float, float]]) -> None:
        """Take live points (x, t, value); those that were fetched already are left out."""
        if points:
            x, t, value = np.array(points, float).T
            new = (attempt > self._coarse_end[0]) | ((attempt == self._coarse_end[0]) & (x > self._coarse_end[1]))
            x, t, value = x[new], t[new], value[new]
            self._take(SeriesPart(np.full(len(x), attempt, np.int32), _micro(x), _micro(t), value))

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
            self._since = tuple(begins)
            self._anew()

    def shown(self) -> tuple[Floats, Floats]:
        """x and value by rising x: for each step the latest point of the latest attempt that came so far."""
        shown = self.places()
        return self.x[shown], self.value[shown]

    def overwritten(self) -> tuple[Floats, Floats, NDArray[np.int32]]:
        """x, value and attempt of all points that a later one took the place of."""
        self._tell_apart()
        return self.x[self._lost], self.value[self._lost], self.attempt[self._lost]

    def places(self, begin: int = 0) -> NDArray[np.intp]:
        """Where the points that are shown stand, by rising x, from the `begin`th of them on."""
        self._tell_apart()
        return self._shown[begin : self._shown_n]

    def lost_places(self) -> NDArray[np.intp]:
        """Where the points stand that a later one took the place of."""
        self._tell_apart()
        return self._lost

    def begins(self) -> list[tuple[int, float]]:
        """Each attempt and the first x it has."""
        numbers, first = np.unique(self.attempt, return_index=True)
        here = {int(number): float(self.x[place]) for number, place in zip(numbers, first, strict=True)}
        return sorted((here | dict(self.coarse.begins if self.coarse is not None else ())).items())

    def _anew(self) -> None:
        self._split_upto = None
        self.generation += 1

    def _tell_apart(self) -> None:
        """Which points are shown. Those that only go on cost nothing; one that goes back has all looked at anew."""
        if self._split_upto == self._n:
            return
        begin = self._split_upto or 0
        if begin and self._goes_on(begin):
            self._show(np.arange(begin, self._n))
        else:
            shown, self._lost = split(self.attempt, self.x, self._since)
            self._shown_n = 0
            self._show(shown)
            self.generation += 1
        self._split_upto = self._n

    def _goes_on(self, begin: int) -> bool:
        """Everything from `begin` on belongs to the latest attempt and lies behind all that is shown."""
        newest = self._attempt[begin - 1]
        known = max((number for number, _ in self._since), default=0)
        if known > newest or not self._shown_n or bool(np.any(self._attempt[begin : self._n] != newest)):
            return False
        x = np.append(self._x[self._shown[self._shown_n - 1]], self._x[begin : self._n])
        return bool(np.all(x[1:] > x[:-1]))

    def _show(self, places: NDArray[np.intp]) -> None:
        end = self._shown_n + len(places)
        if end > len(self._shown):
            self._shown = _grown(self._shown, max(end, 2 * len(self._shown)))
        self._shown[self._shown_n : end] = places
        self._shown_n = end

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
