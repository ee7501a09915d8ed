"""Curves of replayed runs, as a controller would give them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from engine.client.download import Tell
from engine.contract.errors import Unreachable
from forge_desktop.bridge.backend_series import Axis, LongPart, Named, SeriesView
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.bridge.series_files import Piece, write_csv
from forge_desktop.bridge.series_reading import along, long_of_points, view_of_points

WAIT_S = 10.0


class ReplaySeries:
    """A part of `ReplayBackend`."""

    views_fail = False
    """Curves cannot be had, although all else can."""
    views_go: threading.Event
    """Pieces of curves wait for it: clear it, and they are long on their way."""
    views_asked: list[tuple[str, float, float]]
    """Pieces of curves that were asked for: metric, from, to."""

    def series(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        """See `ReplayBackend`."""
        raise NotImplementedError

    def curves(
        self, uid: str, long_from: int, buckets: int, axis: Axis, metrics: tuple[str, ...] = ()
    ) -> dict[str, SeriesPart | LongPart]:
        """As the controller does."""
        self._may_fail()
        found = self.series(uid, ())
        tokens = found.get("tokens_seen")
        return {
            name: part if len(part.x) <= long_from else long_of_points(part, along(part, axis, tokens), buckets, axis)
            for name, part in found.items()
            if not metrics or name in metrics
        }

    def curve_view(self, uid: str, metric: str, buckets: int, wanted: SeriesView) -> SeriesView:
        """As the controller does; `views_asked` keeps the range."""
        self._may_fail()
        self.views_asked.append((metric, wanted.from_x, wanted.to_x))
        self.views_go.wait(WAIT_S)
        found = self.series(uid, ())
        part = found[metric]
        return view_of_points(part, along(part, wanted.axis, found.get("tokens_seen")), buckets, wanted)

    def write_curves(self, runs: Named, metrics: tuple[str, ...], file: Path, tell: Tell) -> int:
        """As the controller does."""
        pieces = [
            Piece(uid, name, metric, part)
            for uid, name in runs
            for metric, part in self.series(uid, metrics).items()
            if metric in metrics
        ]
        total = sum(len(piece.part.x) for piece in pieces)
        return write_csv(file, pieces, total, tell, len(runs) > 1)

    def _may_fail(self) -> None:
        if self.views_fail:
            raise Unreachable("controller.unreachable", detail="timed out.", log="")
