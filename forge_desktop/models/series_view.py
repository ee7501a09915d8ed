"""What a chart draws of a curve: at most about two points a column of pixels, chosen by zoom, from a min/max pyramid.

The pyramid grows at its end with the curve; it is built anew only when a later attempt overwrites what was shown.
Everything here is numbers; nothing knows of pixels on a screen or of Qt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from forge_desktop.bridge.backend_series import Axis, Buckets, SeriesView
from forge_desktop.bridge.points import Floats
from forge_desktop.models.curves import Curve

if TYPE_CHECKING:
    from engine.contract.pyramid import Pyramid

ChartAxis = Literal["step", "relative", "time", "worked", "tokens_seen"]
"""What stands along x: step, seconds since `origin`, wall time, seconds at work, tokens seen."""
Spans = tuple[tuple[float, float], ...]
"""When something was at work: begin and end, one after another."""
FORGOTTEN = 1e-6
"""Share of a moving average that may be missing where it does not begin at the curve's first point."""
EXACT_POINTS = 16_384
"""As many points are averaged one by one; more of them bucket by bucket, which nobody can see."""


LOOSE = 4
"""So many times the buckets asked for are taken as they are, rather than merged for every picture."""


def held_axis(axis: ChartAxis) -> Axis:
    """What a long curve is held along for an axis; the tokens that were seen follow from the step."""
    return "time" if axis in ("relative", "time", "worked") else "step"


class CurveSource:
    """One curve along one axis, ready to be drawn."""

    def __init__(
        self, curve: Curve, axis: ChartAxis = "step", origin: float = 0.0, tokens: Curve | None = None
    ) -> None:
        self.curve, self.axis, self._origin, self._tokens = curve, axis, origin, tokens
        self._known: tuple[int, int] = (-1, -1)
        self._shown: Pyramid | None = None
        self._lost: dict[int, Pyramid] = {}
        self._last: tuple[object, Buckets] | None = None
        self._spans: Spans = ()

    def set_axis(self, axis: ChartAxis, origin: float | None = None) -> None:
        """Put something else along x; `origin` is the wall time that counts as 0."""
        moved = axis == "relative" and origin is not None and origin != self._origin
        self._origin = self._origin if origin is None else origin
        if axis != self.axis or moved:
            self.axis, self._known = axis, (-1, -1)

    def set_work(self, spans: Spans) -> None:
        """When the run was at work, for the axis "worked": between the spans no time passes there."""
        if spans != self._spans:
            self._spans = spans
            if self.axis == "worked":
                self._known = (-1, -1)

    def held_x(self, x: float) -> float:
        """The wall time, or the step, of a place on the axis: where a long curve is held there."""
        if self.axis == "worked":
            at, passed = _clock(self._spans)
            return float(np.interp(x, passed, at)) if len(at) else x
        if self.axis == "tokens_seen":
            step, seen = self._seen()
            return float(np.interp(x, seen, step)) if len(step) else x
        return x + self._origin if self.axis == "relative" else x

    @property
    def stamp(self) -> tuple[int, int, ChartAxis, float, Spans]:
        """Another value whenever there is something else to draw."""
        self.refresh()
        return (self._known[0], len(self.pyramid), self.axis, self._origin, self._spans)

    @property
    def pyramid(self) -> Pyramid:
        """The points that are shown, by rising step."""
        if self._shown is None:
            from engine.contract.pyramid import Pyramid  # charts need it first, not the window's start

            self._shown = Pyramid()
        return self._shown

    def refresh(self) -> None:
        """Take what came since the last time; costs nothing if that is nothing."""
        have = len(self.pyramid)
        places = self.curve.places(have)
        key = (self.curve.generation, 0 if self._tokens is None else self._tokens.generation)
        if key != self._known:
            self._rebuild()
            self._known = (self.curve.generation, key[1])
        elif len(places):
            self.pyramid.extend(self._along(places), self.curve.value[places])

    def extent(self) -> tuple[float, float] | None:
        """Least and greatest x that is shown."""
        self.refresh()
        ends = [(float(part["x_first"].min()), float(part["x_last"].max())) for part in self._held() if len(part)]
        x = self.pyramid.x
        if len(x):
            ends.append((float(x[0]), float(x[-1])) if self.pyramid.rising else (float(x.min()), float(x.max())))
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None

    def view(self, low: float, high: float, limit: int) -> Buckets:
        """About `limit` buckets of what is shown between two x, and one point beyond on either side."""
        return self._view(low, high, limit, 1)

    def lost(self, low: float, high: float, limit: int) -> list[Buckets]:
        """The same of what was overwritten, for each attempt by itself."""
        self.refresh()
        parts = [part.view(low, high, limit) for part in self._lost.values()]
        for view in self._held_views():
            for _, buckets in view.lost:
                moved = self._moved(buckets)
                parts.append(_within(moved, low, high))
        return [part for part in parts if len(part)]

    def smooth(self, low: float, high: float, limit: int, weight: float) -> tuple[Floats, Floats]:
        """The moving average (with bias correction) between two x, at about half of `limit` points."""
        behind = 1 if weight <= 0 else math.ceil(math.log(FORGOTTEN) / math.log(weight)) + 1
        exact = self._count(low, high) + behind <= EXACT_POINTS
        buckets = self._view(low, high, max(limit, EXACT_POINTS) if exact else limit, behind)
        y = averaged(buckets, weight)
        x = buckets["x_last"]
        begin = max(0, int(np.searchsorted(x, low)) - 1)
        return _few(x[begin:], y[begin:], limit // 2)

    def near(self, x: float) -> tuple[float, float] | None:
        """The point that is nearest, and its value."""
        self.refresh()
        found: list[tuple[float, float]] = []
        mine = self.pyramid.x
        if len(mine):
            if self.pyramid.rising:
                place = int(np.searchsorted(mine, x))
                near = [max(0, place - 1), min(place, len(mine) - 1)]
            else:
                near = [int(np.abs(mine - x).argmin())]
            found += [(float(mine[one]), float(self.pyramid.y[one])) for one in near]
        for part in self._held():
            if len(part):
                one = part[int(np.abs(part["x_last"] - x).argmin())]
                found.append((float(one["x_last"]), float(one["last"])))
        return min(found, key=lambda point: abs(point[0] - x)) if found else None

    def beside(self, x: float, direction: int) -> float | None:
        """x of the first point behind (1) or before (-1) an x."""
        self.refresh()
        places = [*(part["x_last"] for part in self._held()), self.pyramid.x]
        found = [float(some.min() if direction > 0 else some.max())
                 for part in places if len(some := part[part > x] if direction > 0 else part[part < x])]  # fmt: skip
        return (min(found) if direction > 0 else max(found)) if found else None

    def begins(self) -> list[tuple[int, float]]:
        """Each attempt and where it begins on the axis, as far as that is known."""
        begins = self.curve.begins()
        if self.axis == "step":
            return begins
        places = [(number, np.flatnonzero(self.curve.attempt == number)) for number, _ in begins]
        return [(number, float(self._along(place[:1])[0])) for number, place in places if len(place)]

    def at_step(self, step: float) -> float | None:
        """Where a step stands on the axis."""
        if self.axis == "step":
            return step
        places = self.curve.places()
        place = int(np.searchsorted(self.curve.x[places], step))
        return float(self._along(places[place : place + 1])[0]) if place < len(places) else None

    def _count(self, low: float, high: float) -> int:
        """How many points there are between two x; more than that where they do not rise."""
        self.refresh()
        x = self.pyramid.x
        return int(np.searchsorted(x, high) - np.searchsorted(x, low)) if self.pyramid.rising else len(x)

    def _view(self, low: float, high: float, limit: int, behind: int) -> Buckets:
        self.refresh()
        whole = self.pyramid
        if whole.rising:
            first = int(np.searchsorted(whole.x, low, "left"))
            last = int(np.searchsorted(whole.x, high, "right"))
            points = self._piece(max(0, first - behind), min(last + 1, len(whole)), limit)
        else:
            points = whole.view(low, high, limit)
        held = [_within(part, low, high, behind) for part in self._held()]
        held = [part for part in held if len(part)]
        if not held:
            return points
        from engine.contract import pyramid

        every = np.concatenate([*held, points])
        return pyramid.group(every, pyramid.size_for(int(every["n"].sum()), limit)) if len(every) > limit else every

    def _piece(self, first: int, last: int, limit: int) -> Buckets:
        """Of the pyramid; the raw and the smoothed line mostly want the same."""
        key = (self._known[0], first, last, limit)
        if self._last is None or self._last[0] != key:
            self._last = (key, self.pyramid.piece(first, last, limit, LOOSE * limit))
        return self._last[1]

    def _rebuild(self) -> None:
        self._last = None
        from engine.contract.pyramid import Pyramid

        self._shown, self._lost = Pyramid(), {}
        places, lost = self.curve.places(), self.curve.lost_places()
        self._shown.extend(self._along(places), self.curve.value[places])
        for number in sorted(set(self.curve.attempt[lost].tolist())):
            mine = lost[self.curve.attempt[lost] == number]
            self._lost[number] = Pyramid()
            self._lost[number].extend(self._along(mine), self.curve.value[mine])

    def _along(self, places: np.ndarray) -> Floats:
        held = self.curve.t if held_axis(self.axis) == "time" else self.curve.x
        move = self._move()
        return np.asarray(held[places] if move is None else move(held[places]))

    def _move(self) -> Callable[[Floats], Floats] | None:
        """From the wall time or the step to a place on the axis; None where it is that place."""
        return {"relative": self._since, "worked": self._at_work, "tokens_seen": self._by_tokens}.get(self.axis)

    def _held_views(self) -> list[SeriesView]:
        coarse, wanted = self.curve.coarse, held_axis(self.axis)
        return [coarse] if coarse is not None and coarse.axis == wanted else []

    def _held(self) -> list[Buckets]:
        """What is known in buckets only, the finer piece in its place."""
        parts = [view.shown for view in self._held_views()]
        fine = self.curve.fine
        if parts and fine is not None and fine.axis == self._held_views()[0].axis and len(fine.shown):
            (coarse,) = parts
            pieces = [coarse[coarse["x_last"] < fine.from_x], fine.shown, coarse[coarse["x_first"] > fine.to_x]]
            parts = [np.concatenate(pieces)]
        return [self._moved(part) for part in parts]

    def _moved(self, buckets: Buckets) -> Buckets:
        move = self._move()
        if move is None:
            return buckets
        moved = buckets.copy()
        for name in ("x_first", "x_last"):
            moved[name] = move(moved[name])
        return moved

    def _since(self, t: Floats) -> Floats:
        return np.asarray(t - self._origin)

    def _by_tokens(self, steps: Floats) -> Floats:
        step, seen = self._seen()
        return np.asarray(np.interp(steps, step, seen) if len(step) else steps)

    def _seen(self) -> tuple[Floats, Floats]:
        """Steps and the tokens that were seen by then."""
        if self._tokens is None:
            return np.empty(0), np.empty(0)
        step, seen = self._tokens.shown()
        coarse = self._tokens.coarse
        if coarse is None or coarse.axis != "step":
            return step, seen
        ends = [np.column_stack([coarse.shown[a], coarse.shown[b]]).ravel()
                for a, b in (("x_first", "x_last"), ("first", "last"))]  # fmt: skip
        return np.append(ends[0], step), np.append(ends[1], seen)

    def _at_work(self, t: Floats) -> Floats:
        at, passed = _clock(self._spans)
        if not len(at):
            return np.asarray(t - (self.curve.t[0] if len(self.curve) else 0.0))
        return np.asarray(np.interp(t, at, passed))


def _clock(spans: Spans) -> tuple[Floats, Floats]:
    """Begin and end of each span, and the seconds of work that had passed by then."""
    at = np.maximum.accumulate(np.array(spans, float).reshape(-1))  # clocks are set back now and then
    worked = np.diff(at, prepend=at[:1])
    worked[0::2] = 0.0  # from the end of one to the begin of the next
    return at, np.cumsum(worked)


def averaged(buckets: Buckets, weight: float) -> Floats:
    """The moving average at the end of each bucket; a bucket of one point counts exactly, others by their mean."""
    mean = buckets["mean"]
    finite = np.isfinite(mean)
    if weight <= 0:
        return np.asarray(mean)
    kept = weight ** buckets["n"].astype(float)
    known = np.where(finite, 1 - kept, 0.0)
    value = np.where(finite, known * np.where(finite, mean, 0.0), 0.0)
    reach = 1
    while reach < len(kept) and float(kept.max()) > 1e-12:  # s[i] takes in s[i - 1], then s[i - 2] …, by doubling
        value[reach:] += kept[reach:] * value[:-reach]
        known[reach:] += kept[reach:] * known[:-reach]
        kept[reach:] *= kept[:-reach].copy()
        kept[:reach] = 0.0
        reach *= 2
    with np.errstate(invalid="ignore"):
        return np.asarray(value / np.where(known > 0, known, np.nan))


def outline(buckets: Buckets, x: tuple[float, float], columns: int) -> tuple[Floats, Floats]:
    """The line through what lies between two x: the values themselves, or least and greatest of each column.

    NaN is a gap. A column without points has none; one with points has two, however many they are.
    """
    if not len(buckets) or (int(buckets["n"].max()) == 1 and len(buckets) <= 2 * columns):
        value = np.where(np.isfinite(buckets["first"]), buckets["first"], np.nan)
        return np.asarray(buckets["x_first"]), value
    width = (x[1] - x[0]) / columns
    middle = (buckets["x_first"] + buckets["x_last"]) / 2
    column = np.floor((middle - x[0]) / width)
    starts = np.flatnonzero(np.diff(column, prepend=np.nan) != 0)
    low, high = np.fmin.reduceat(buckets["min"], starts), np.fmax.reduceat(buckets["max"], starts)
    up = buckets["last"][np.append(starts[1:], len(buckets)) - 1] >= buckets["first"][starts]
    y = np.empty(2 * len(starts))
    y[0::2], y[1::2] = np.where(up, low, high), np.where(up, high, low)  # so that what rises evenly looks so
    return np.repeat(x[0] + (column[starts] + 0.5) * width, 2), y


def gaps(buckets: Buckets) -> Floats:
    """x of the buckets that hold values that are no numbers."""
    odd = (buckets["nan"] > 0) | (buckets["plus"] > 0) | (buckets["minus"] > 0)
    return np.asarray(buckets["x_first"][odd])


def _within(buckets: Buckets, low: float, high: float, behind: int = 0) -> Buckets:
    first = int(np.searchsorted(buckets["x_last"], low))
    last = int(np.searchsorted(buckets["x_first"], high, "right"))
    while behind > 0 and first > 0:
        first -= 1
        behind -= int(buckets["n"][first])
    return buckets[first : last + 1]


def _few(x: Floats, y: Floats, limit: int) -> tuple[Floats, Floats]:
    """One point for each group of neighbours: their mean; the very last stays as it is."""
    size = -(-len(x) // max(1, limit))
    if size <= 1:
        return x, y
    starts = np.arange(0, len(x), size)
    count = np.diff(starts, append=len(x))
    with np.errstate(invalid="ignore"):
        few = np.add.reduceat(y, starts) / count
    few[-1] = y[-1]
    return x[starts + count - 1], few
