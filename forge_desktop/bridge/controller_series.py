"""The real controller's curves: whole ones as points, long ones at few buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from engine.client.arrow import CurveView
from engine.client.client import ControllerClient
from engine.client.download import Tell
from forge_desktop.bridge.backend_series import Axis, LongPart, Named, SeriesView
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.bridge.series_files import Piece, write_csv
from forge_desktop.bridge.series_reading import (
    GoesBack,
    along,
    long_by_step,
    long_of_points,
    view_by_step,
    view_of_points,
)

TOKENS = "tokens_seen"
NOTHING = np.empty(0)
NO_POINTS = SeriesPart(np.empty(0, np.int32), NOTHING, NOTHING, NOTHING)
NO_BUCKETS = CurveView(*(NOTHING,) * 9, np.empty(0, np.uint8))


class ControllerSeries:
    """A part of `ControllerBackend`."""

    _client: ControllerClient

    def curves(
        self, uid: str, long_from: int, buckets: int, axis: Axis, metrics: tuple[str, ...] = ()
    ) -> dict[str, SeriesPart | LongPart]:
        """Curves of a run."""
        known = [one for one in self._client.run(uid).series if not metrics or one.metric in metrics]
        long = [one.metric for one in known if one.n > long_from]
        short = [one.metric for one in known if one.n <= long_from]
        found: dict[str, SeriesPart | LongPart] = dict(self._points(uid, short)) if short else {}
        return found | {metric: self._long(uid, metric, buckets, axis) for metric in long}

    def curve_view(self, uid: str, metric: str, buckets: int, wanted: SeriesView) -> SeriesView:
        """A piece of one curve."""
        if wanted.axis == "step":
            try:
                return view_by_step(partial(self._ask, uid, metric), buckets, wanted)
            except GoesBack:
                pass
        part, tokens = self._with_tokens(uid, metric, wanted.axis)
        return view_of_points(part, along(part, wanted.axis, tokens), buckets, wanted)

    def write_curves(self, runs: Named, metrics: tuple[str, ...], file: Path, tell: Tell) -> int:
        """Every point of these curves as CSV, from the history into the file piece by piece."""
        total = sum(one.n for uid, _ in runs for one in self._client.run(uid).series if one.metric in metrics)
        return write_csv(file, self._pieces(runs, metrics), total, tell, len(runs) > 1)

    def _pieces(self, runs: Named, metrics: tuple[str, ...]) -> Iterator[Piece]:
        for uid, name in runs:
            for metric, part in self._client.series_pieces(uid, metrics):
                yield Piece(uid, name, metric, SeriesPart(part.attempt, part.x, part.t, part.value))

    def _long(self, uid: str, metric: str, buckets: int, axis: Axis) -> SeriesPart | LongPart:
        if axis == "step":
            try:
                return long_by_step(partial(self._ask, uid, metric), partial(self._after, uid, metric), buckets)
            except GoesBack:
                return self._points(uid, [metric])[metric]
        part, tokens = self._with_tokens(uid, metric, axis)
        return long_of_points(part, along(part, axis, tokens), buckets, axis)

    def _with_tokens(self, uid: str, metric: str, axis: Axis) -> tuple[SeriesPart, SeriesPart | None]:
        found = self._points(uid, [metric, TOKENS] if axis == TOKENS else [metric])
        return found[metric], found.get(TOKENS)

    def _points(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        curves = self._client.series(uid, metrics)
        return {name: SeriesPart(part.attempt, part.x, part.t, part.value) for name, part in curves.items()}

    def _after(self, uid: str, metric: str, end: tuple[int, float]) -> SeriesPart:
        part = self._client.series(uid, [metric], (end[0], max(-1.0, end[1]))).get(metric)
        return NO_POINTS if part is None else SeriesPart(part.attempt, part.x, part.t, part.value)

    def _ask(self, uid: str, metric: str, low: float, high: float, buckets: int) -> CurveView:
        bounds = [None if abs(bound) == float("inf") else bound for bound in (low, high)]
        return self._client.series_view(uid, [metric], buckets, *bounds).get(metric, NO_BUCKETS)
