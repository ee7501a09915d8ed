"""Long curves at few buckets: from the history's views by step, from the points themselves by time or tokens.

A bucket that stands for points before and behind the first step of a later attempt would be neither shown nor
overwritten. So a view is asked for piece by piece, cut where attempts begin.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from forge_desktop.bridge.backend_series import Axis, Buckets, LongPart, SeriesView
from forge_desktop.bridge.overwriting import split
from forge_desktop.bridge.points import Floats, SeriesPart

if TYPE_CHECKING:
    from engine.client.arrow import CurveView

TAIL_POINTS = 1000
"""The newest points of a long curve, which come one by one."""
Begins = tuple[tuple[int, float], ...]
Ask = Callable[[float, float, int], "CurveView"]
"""A view of a range at so many buckets."""


class GoesBack(Exception):
    """Steps of one attempt repeat, so that buckets cannot tell what is shown: the points are needed."""


def view_by_step(ask: Ask, buckets: int, wanted: SeriesView, also: float = -np.inf) -> SeriesView:
    """A range of a curve from the history's views, told apart into what is shown and what is not; `also`: a cut."""
    begins = dict(wanted.begins)
    cuts = sorted({first for first in (*begins.values(), also) if wanted.from_x < first <= wanted.to_x})
    edges = [wanted.from_x, *cuts, np.nextafter(wanted.to_x, np.inf)]
    share = max(2, buckets // (len(edges) - 1))
    shown: list[Buckets] = []
    lost: dict[int, list[Buckets]] = {}
    for low, high in itertools.pairwise(edges):
        for number, part in _by_attempt(ask(low, float(np.nextafter(high, -np.inf)), share)):
            later = min((first for other, first in begins.items() if other > number), default=np.inf)
            (shown if low < later else lost.setdefault(number, [])).append(part)
    return SeriesView(
        wanted.axis, wanted.from_x, wanted.to_x, _joined(shown),
        tuple((number, _joined(parts)) for number, parts in sorted(lost.items())), wanted.begins,
    )  # fmt: skip


def long_by_step(ask: Ask, after: Callable[[tuple[int, float]], SeriesPart], buckets: int) -> LongPart:
    """A whole curve: buckets for all of it but its newest points."""
    parts = list(_by_attempt(ask(-np.inf, np.inf, buckets)))
    begins = tuple((number, float(part["x_first"].min())) for number, part in parts)
    newest, last = parts[-1]
    counted = np.cumsum(last["n"][::-1].astype(np.int64))
    behind = int(np.searchsorted(counted, TAIL_POINTS)) + 1
    end = (newest, float(last["x_last"][-behind - 1]) if behind < len(last) else -np.inf)
    tail = after(end)
    first_later = [min((first for other, first in begins if other > number), default=np.inf) for number, _ in begins]
    if all(_clear(part, cut) for (_, part), cut in zip(parts, first_later, strict=True)):
        kept = [(number, part, cut) for (number, part), cut in zip(parts, first_later, strict=True)]
        shown = [part[part["x_first"] < cut] for _, part, cut in kept]
        lost = [(number, part[part["x_first"] >= cut]) for number, part, cut in kept]
        coarse = SeriesView(
            "step", -np.inf, np.inf, _joined(shown), tuple(pair for pair in lost if len(pair[1])), begins
        )  # fmt: skip
    else:
        whole = SeriesView("step", -np.inf, np.inf, _joined([]), (), begins)
        coarse = view_by_step(ask, buckets, whole, also=float(np.nextafter(end[1], np.inf)))
    return LongPart(_without(coarse, end), tail, end)


def view_of_points(part: SeriesPart, x: Floats, buckets: int, wanted: SeriesView) -> SeriesView:
    """The same from the points; `x` is where each of them stands on the wanted axis."""
    return _reduced(part, x, *split(part.attempt, part.x, wanted.begins), buckets, wanted)


def long_of_points(part: SeriesPart, x: Floats, buckets: int, axis: Axis) -> LongPart:
    """A whole curve from its points: buckets for all of it but its newest points."""
    shown, lost = split(part.attempt, part.x)
    cut = max(1, len(part.x) - TAIL_POINTS)
    numbers, first = np.unique(part.attempt, return_index=True)
    begins = tuple((int(n), float(part.x[place])) for n, place in zip(numbers, first, strict=True))
    wanted = SeriesView(axis, -np.inf, np.inf, _joined([]), (), begins)
    coarse = _reduced(part, x, shown[shown < cut], lost[lost < cut], buckets, wanted)
    tail = SeriesPart(part.attempt[cut:], part.x[cut:], part.t[cut:], part.value[cut:])
    return LongPart(coarse, tail, (int(part.attempt[cut - 1]), float(part.x[cut - 1])))


def along(part: SeriesPart, axis: Axis, tokens: SeriesPart | None) -> Floats:
    """Where points stand on an axis."""
    if axis == "time":
        return part.t
    if axis == "tokens_seen" and tokens is not None and len(tokens.x):
        order, _ = split(tokens.attempt, tokens.x)
        return np.interp(part.x, tokens.x[order], tokens.value[order])
    return part.x


def _reduced(
    part: SeriesPart, x: Floats, shown: np.ndarray, lost: np.ndarray, buckets: int, wanted: SeriesView
) -> SeriesView:
    from engine.contract import pyramid

    inside = (x >= wanted.from_x) & (x <= wanted.to_x)
    size = pyramid.size_for(int(inside.sum()), buckets)

    def reduce(places: np.ndarray) -> Buckets:
        mine = places[inside[places]]
        return pyramid.of_points(x[mine], part.value[mine], size)

    numbers = np.unique(part.attempt[lost])
    gone = tuple((int(n), reduce(lost[part.attempt[lost] == n])) for n in numbers)
    return SeriesView(wanted.axis, wanted.from_x, wanted.to_x, reduce(shown), gone, wanted.begins)


def _by_attempt(view: CurveView) -> Iterable[tuple[int, Buckets]]:
    """The buckets of each attempt; GoesBack where its steps repeat."""
    from engine.contract import pyramid

    made = np.zeros(len(view.n), pyramid.BUCKET)
    for name in ("x_first", "x_last", "min", "max", "first", "last", "mean", "n"):
        made[name] = getattr(view, name)
    for name, flag in (("nan", pyramid.NAN), ("plus", pyramid.PLUS), ("minus", pyramid.MINUS)):
        made[name] = (view.flags & flag) > 0
    for number in np.unique(view.attempt):
        mine = made[view.attempt == number]
        if bool(np.any(mine["x_first"][1:] <= mine["x_last"][:-1])):
            raise GoesBack
        yield int(number), mine


def _clear(part: Buckets, cut: float) -> bool:
    return not bool(np.any((part["x_first"] < cut) & (part["x_last"] >= cut)))


def _without(view: SeriesView, end: tuple[int, float]) -> SeriesView:
    """Buckets of the newest attempt are among those shown; what comes as points needs none."""
    begin = dict(view.begins)[end[0]]
    kept = view.shown[(view.shown["x_last"] <= end[1]) | (view.shown["x_last"] < begin)]
    return SeriesView(view.axis, view.from_x, view.to_x, kept, view.lost, view.begins)


def _joined(parts: list[Buckets]) -> Buckets:
    """By rising x."""
    from engine.contract import pyramid

    every = np.concatenate(parts) if parts else np.zeros(0, pyramid.BUCKET)
    return np.asarray(every[np.argsort(every["x_first"], kind="stable")])
