"""Reading the wide blobs that points come in as, before they are sealed."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.control.store.chunks import Columns

Array = np.ndarray[Any, Any]


@dataclass
class Wide:
    """One blob: journal line, x and time of its rows, and a column of values for each metric."""

    seq: Array
    x: Array
    t: Array
    values: dict[int, Array]
    """By metric id."""

    def of(self, metric: int) -> Columns:
        """One metric's points."""
        return Columns(self.seq, self.x, self.t, self.values[metric])


def decode(data: bytes, count: int) -> Wide:
    """Lay out the columns of a blob; nothing is copied."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    start, width = 4 + length, 8 * count
    seq, x, t = (np.frombuffer(data, "<i8", count, start + place * width) for place in range(3))
    values = {
        metric: np.frombuffer(data, "<f8", count, start + (3 + place) * width)
        for place, metric in enumerate(header["metrics"])
    }
    return Wide(seq, x, t, values)
