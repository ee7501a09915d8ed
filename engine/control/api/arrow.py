"""Curves as an Arrow IPC stream. pyarrow is imported when the first is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from engine.control.store.metrics import Points

BATCH_ROWS = 65_536


def to_stream(curves: Sequence[Points]) -> bytes:
    """One table: metric (dictionary), attempt, x, t, value."""
    import numpy as np
    import pyarrow as pa

    names = [curve.metric for curve in curves]
    codes = np.repeat(np.arange(len(curves), dtype=np.int32), [len(curve.x) for curve in curves])

    def column(name: str, kind: type) -> object:
        parts = [getattr(curve, name) for curve in curves]
        return pa.array(np.concatenate(parts).astype(kind) if parts else np.empty(0, kind))

    table = pa.table(
        {
            "metric": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string())),
            "attempt": column("attempt", np.int32),
            "x": column("x", np.float64),
            "t": column("t", np.float64),
            "value": column("value", np.float64),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return bytes(sink.getvalue())
