"""Curves that grow: points by attempt and x, and the view a chart draws of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge_desktop.bridge.backend import Floats, SeriesPart

BLOCK = 128
"""Steps that are smoothed at once."""


class Curve:
    """Points of one metric, appended in order; a resumed attempt may repeat steps."""

    def __init__(self) -> None:
        self._attempt: NDArray[np.int32] = np.empty(256, np.int32)
        self._x: Floats = np.empty(256)
        self._t: Floats = np.empty(256)
        self._value: Floats = np.empty(256)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def replace(self, part: SeriesPart) -> None:
        """Take fetched points instead of what is here, keeping live points that are newer."""
        newer = self._newer_than(part)
        self._n = 0
        self._extend(part)
        self._extend(newer)

    def append(self, attempt: int, points: list[tuple[float, float, float]]) -> None:
        """Add live points (x, t, value); one that is here already is left out."""
        last = self.last_key()
        fresh = [(x, t, value) for x, t, value in points if (attempt, x) > last]
        if fresh:
            x, t, value = (np.array(part, float) for part in zip(*fresh, strict=True))
            self._extend(SeriesPart(np.full(len(fresh), attempt, np.int32), x, t, value))

    def last_key(self) -> tuple[int, float]:
        """Attempt and x of the newest point."""
        return (int(self._attempt[self._n - 1]), float(self._x[self._n - 1])) if self._n else (0, -np.inf)

    def last(self) -> float | None:
        """The newest value."""
        return float(self._value[self._n - 1]) if self._n else None

    @property
    def x(self) -> Floats:
        """x of all points, in the order they were made."""
        return self._x[: self._n]

    @property
    def value(self) -> Floats:
        """Values of all points."""
        return self._value[: self._n]

    def shown(self) -> tuple[Floats, Floats]:
        """x and value with, for each step, the latest attempt's point only."""
        x, value, attempt = self.x, self.value, self._attempt[: self._n]
        if self._n == 0 or attempt[0] == attempt[-1]:
            return x, value
        # A later attempt overrides everything from its first step on.
        keep = np.ones(self._n, bool)
        first_later = np.inf
        for number in np.unique(attempt)[::-1]:
            mine = attempt == number
            keep[mine] = x[mine] < first_later
            first_later = min(first_later, float(x[mine].min()))
        return x[keep], value[keep]

    def _newer_than(self, part: SeriesPart) -> SeriesPart:
        if len(part.x) == 0:
            mask = np.ones(self._n, bool)
        else:
            attempt, x = int(part.attempt[-1]), float(part.x[-1])
            mine = self._attempt[: self._n]
            mask = (mine > attempt) | ((mine == attempt) & (self.x > x))
        return SeriesPart(
            self._attempt[: self._n][mask].copy(),
            self.x[mask].copy(),
            self._t[: self._n][mask].copy(),
            self.value[mask].copy(),
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
