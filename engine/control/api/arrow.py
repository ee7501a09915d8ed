"""Curves as an Arrow IPC stream. pyarrow is imported when the first is asked for.

Points that were lost to damage are named in the schema's metadata, as JSON under "damaged".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.control.store.reading import Damage, Points
    from engine.control.store.views import View

BATCH_ROWS = 65_536
PIECE_COLUMNS = ("attempt", "x", "t", "value")
BUCKET_COLUMNS = ("x_first", "x_last", "min", "max", "first", "last", "mean")


def to_stream(curves: Sequence[Points]) -> bytes:
    """One table: metric (dictionary), attempt, x, t, value."""
    import numpy as np

    columns = {"attempt": np.int32, "x": np.float64, "t": np.float64, "value": np.float64}
    content = {
        name: np.concatenate([getattr(curve, name) for curve in curves]).astype(kind) if curves else np.empty(0, kind)
        for name, kind in columns.items()
    }
    return _stream([(curve.metric, len(curve.x)) for curve in curves], content, [d for c in curves for d in c.damaged])


def view_to_stream(views: Sequence[View]) -> bytes:
    """One table of buckets: metric (dictionary), attempt, x_first, x_last, min, max, first, last, mean, n, flags."""
    import numpy as np

    from engine.contract import pyramid

    every = np.concatenate([view.buckets for view in views]) if views else np.empty(0, pyramid.BUCKET)
    attempts = np.concatenate([view.attempt for view in views]) if views else np.empty(0)
    content = {"attempt": attempts.astype(np.int32)}
    content |= {name: np.ascontiguousarray(every[name]) for name in BUCKET_COLUMNS}
    content |= {"n": every["n"].astype(np.int64), "flags": pyramid.flags(every)}
    return _stream([(v.metric, len(v.buckets)) for v in views], content, [d for v in views for d in v.damaged])


def _stream(names: Sequence[tuple[str, int]], content: dict[str, Any], damaged: Sequence[Damage]) -> bytes:
    import numpy as np
    import pyarrow as pa

    codes = np.repeat(np.arange(len(names), dtype=np.int32), [count for _, count in names])
    metric = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array([name for name, _ in names], pa.string()))
    table = pa.table({"metric": metric, **{name: pa.array(column) for name, column in content.items()}})
    if damaged:
        table = table.replace_schema_metadata({"damaged": json.dumps([dataclasses.asdict(one) for one in damaged])})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return bytes(sink.getvalue())


END = bytes([255, 255, 255, 255, 0, 0, 0, 0])
"""What ends an Arrow stream."""


def piece_head() -> bytes:
    """What a stream of pieces begins with: metric, attempt, x, t, value."""
    return bytes(_piece_schema().serialize())


def piece(points: Points) -> bytes:
    """Points of one curve as the next batch of such a stream."""
    import pyarrow as pa

    columns = [pa.repeat(points.metric, len(points.x)), *(pa.array(getattr(points, name)) for name in PIECE_COLUMNS)]
    return bytes(pa.record_batch(columns, schema=_piece_schema()).serialize())


def _piece_schema() -> Any:
    import pyarrow as pa

    kinds = (pa.int32(), pa.float64(), pa.float64(), pa.float64())
    return pa.schema([("metric", pa.string()), *zip(PIECE_COLUMNS, kinds, strict=True)])
