"""Points of a curve as they pass through the bridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesPart:
    """Points of one metric in the order they were made: attempt, x (step or time), wall time, value."""

    attempt: NDArray[np.int32]
    x: Floats
    t: Floats
    value: Floats
