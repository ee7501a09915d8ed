"""Points of a curve as they pass through the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # numpy is imported once the window is painted
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any


@dataclass(frozen=True)
class SeriesPart:
    """Points of one metric in the order they were made: attempt, x (step or time), wall time, value."""

    attempt: NDArray[np.int32]
    x: Floats
    t: Floats
    value: Floats
