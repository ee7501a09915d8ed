"""Curves as they come from the controller, turned into numpy arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]
PIECE_BYTES = 1 << 18


@dataclass(frozen=True)
class Damage:
    """Points that are lost: in which attempt, from where to where, and how many."""

    metric: str
    attempt: int
    first_x: float
    last_x: float
    n: int


@dataclass(frozen=True)
class Curve:
    """Points of one metric in the order they were written, over all attempts asked for."""

    attempt: Array
    x: Array
    """Step, or seconds since the epoch for device readings."""
    t: Array
    value: Array
    damaged: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class CurveView:
    """The course of one metric at few buckets: neighbouring points of an attempt, in the order they were written."""

    attempt: Array
    x_first: Array
    """Least x of the bucket."""
    x_last: Array
    """Greatest x of the bucket."""
    min: Array
    """Of finite values, as max and mean; NaN where there is none."""
    max: Array
    first: Array
    last: Array
    mean: Array
    n: Array
    flags: Array
    """What else is in it, as bits: 1 NaN, 2 +infinity, 4 -infinity."""
    damaged: tuple[Damage, ...] = ()


_VIEW = ("attempt", "x_first", "x_last", "min", "max", "first", "last", "mean", "n", "flags")


def read_curves(data: bytes) -> dict[str, Curve]:
    """Metric to curve."""
    return {
        name: Curve(**found, damaged=lost) for name, found, lost in _by_metric(data, ("attempt", "x", "t", "value"))
    }


def read_views(data: bytes) -> dict[str, CurveView]:
    """Metric to its view."""
    return {name: CurveView(**found, damaged=lost) for name, found, lost in _by_metric(data, _VIEW)}


def read_pieces(data: Iterator[bytes]) -> Iterator[tuple[str, Curve]]:
    """Pieces of curves as they come: metric and points."""
    with pa.ipc.open_stream(pa.PythonFile(io.BufferedReader(_Flow(data), PIECE_BYTES), mode="r")) as reader:
        for batch in reader:
            if batch.num_rows:
                names = ("attempt", "x", "t", "value")
                yield batch.column("metric")[0].as_py(), Curve(*(batch.column(name).to_numpy() for name in names))


class _Flow(io.RawIOBase):
    """Bytes that come in pieces, as a file."""

    def __init__(self, data: Iterator[bytes]) -> None:
        self._data, self._rest = data, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not len(self._rest):
            piece = next(self._data, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _by_metric(data: bytes, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Array], tuple[Damage, ...]]]:
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        table = reader.read_all().combine_chunks()
    lost = [Damage(**one) for one in json.loads((table.schema.metadata or {}).get(b"damaged", b"[]"))]
    if table.num_rows == 0:
        columns = {name: np.empty(0) for name in names}
        for name in sorted({one.metric for one in lost}):
            yield name, columns, tuple(one for one in lost if one.metric == name)
        return
    metric = table.column("metric").chunk(0)
    known, codes = metric.dictionary.to_pylist(), metric.indices.to_numpy()
    columns = {name: table.column(name).to_numpy() for name in names}
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(known) + 1))
    for place, name in enumerate(known):
        mine = order[edges[place] : edges[place + 1]]
        mine_only = {column: values[mine] for column, values in columns.items()}
        yield name, mine_only, tuple(one for one in lost if one.metric == name)
