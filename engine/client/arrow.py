"""Curves as they come from the controller, turned into numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Curve:
    """Points of one metric in the order they were written, over all attempts asked for."""

    attempt: Array
    x: Array
    """Step, or seconds since the epoch for device readings."""
    t: Array
    value: Array


def read_curves(data: bytes) -> dict[str, Curve]:
    """Metric to curve."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        table = reader.read_all().combine_chunks()
    if table.num_rows == 0:
        return {}
    metric = table.column("metric").chunk(0)
    names, codes = metric.dictionary.to_pylist(), metric.indices.to_numpy()
    columns = [table.column(name).to_numpy() for name in ("attempt", "x", "t", "value")]
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(names) + 1))
    curves = {}
    for place, name in enumerate(names):
        mine = order[edges[place] : edges[place + 1]]
        curves[name] = Curve(*(column[mine] for column in columns))
    return curves
