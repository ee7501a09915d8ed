"""What the desktop asks about curves: long ones at few buckets, finer where it looks closely, all points as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engine.client.download import Tell
from forge_desktop.bridge.points import SeriesPart

Axis = Literal["step", "time", "tokens_seen"]
"""What stands along a chart's x: the step, the wall time, or how many tokens the run had seen."""
if TYPE_CHECKING:  # numpy is imported once the window is painted
    import numpy as np

    Buckets = np.ndarray[Any, Any]
    """`engine.contract.pyramid.BUCKET`s by rising x."""
else:
    Buckets = Any

Named = tuple[tuple[str, str], ...]
"""Runs by id, and what people call them."""


@dataclass(frozen=True)
class SeriesView:
    """A curve, or a piece of it, at few buckets: what is shown, and what a later attempt took the place of."""

    axis: Axis
    from_x: float
    to_x: float
    shown: Buckets
    lost: tuple[tuple[int, Buckets], ...] = ()
    """Each attempt with what it lost."""
    begins: tuple[tuple[int, float], ...] = ()
    """Each attempt and the first step it has."""


@dataclass(frozen=True)
class LongPart:
    """A curve of too many points to hold: buckets up to `end`, an attempt and a step, and the points behind it."""

    coarse: SeriesView
    tail: SeriesPart
    end: tuple[int, float]


class SeriesBackend(Protocol):
    """Curves of a run. Calls block, as all of `Backend`."""

    def curves(
        self, uid: str, long_from: int, buckets: int, axis: Axis, metrics: tuple[str, ...] = ()
    ) -> dict[str, SeriesPart | LongPart]:
        """These curves of a run, or all; those of more than `long_from` points at about so many buckets."""

    def curve_view(self, uid: str, metric: str, buckets: int, wanted: SeriesView) -> SeriesView:
        """A piece of one curve at about so many buckets: axis, range and begins are those of `wanted`."""

    def write_curves(self, runs: Named, metrics: tuple[str, ...], file: Path, tell: Tell) -> int:
        """Write every point of these curves as CSV, as they come and aside first; how many there were.

        Of several runs each line names its own. `tell` hears points, not bytes, and may raise `Cancelled`.
        """
