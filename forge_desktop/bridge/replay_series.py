"""Curves of replayed runs, as a controller would give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.client.download import Tell
from engine.contract.errors import Unreachable
from forge_desktop.bridge.backend_series import Axis, LongPart, SeriesView
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.bridge.series_files import write_csv
from forge_desktop.bridge.series_reading import along, long_of_points, view_of_points


class ReplaySeries:
    """A part of `ReplayBackend`."""

    views_fail = False
    """Curves cannot be had, although all else can."""
    views_asked: list[tuple[str, float, float]]
    """Pieces of curves that were asked for: metric, from, to."""

    def series(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        """See `ReplayBackend`."""
        raise NotImplementedError

    def curves(self, uid: str, long_from: int, buckets: int, axis: Axis) -> dict[str, SeriesPart | LongPart]:
        """As the controller does."""
        self._may_fail()
        found = self.series(uid, ())
        tokens = found.get("tokens_seen")
        return {
            name: part if len(part.x) <= long_from else long_of_points(part, along(part, axis, tokens), buckets, axis)
            for name, part in found.items()
        }

    def curve_view(self, uid: str, metric: str, buckets: int, wanted: SeriesView) -> SeriesView:
        """As the controller does; `views_asked` keeps the range."""
        self._may_fail()
        self.views_asked.append((metric, wanted.from_x, wanted.to_x))
        found = self.series(uid, ())
        part = found[metric]
        return view_of_points(part, along(part, wanted.axis, found.get("tokens_seen")), buckets, wanted)

    def write_curves(self, uid: str, metrics: tuple[str, ...], file: Path, tell: Tell) -> int:
        """As the controller does."""
        found = self.series(uid, metrics)
        return write_csv(file, {name: found[name] for name in metrics if name in found}, tell)

    def _may_fail(self) -> None:
        if self.views_fail:
            raise Unreachable("controller.unreachable", detail="timed out.", log="")
