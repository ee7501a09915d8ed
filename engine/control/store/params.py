"""The settings of a run, one a row, to search and compare runs by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.contract.datasets import ImportJob
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.control.store import events
from engine.control.store.database import Transaction

_LEFT_OUT: Any = {"kind": True, "repairs": {"__all__": {"rows"}}}
"""A repair may name a million rows; nobody compares runs by them."""


def store(transaction: Transaction, run_id: int, spec: RunSpec) -> None:
    """Replace what is stored of a run by what its spec says now."""
    transaction.execute("DELETE FROM run_param WHERE run_id = ?", (run_id,))
    if isinstance(spec.job, TrainJob | ImportJob | SampleJob | ServeJob):
        rows = flattened(spec.job.model_dump(mode="json", exclude=_LEFT_OUT))
        transaction.connection.executemany(
            "INSERT INTO run_param(run_id, key, value) VALUES (?,?,?)", ((run_id, key, value) for key, value in rows)
        )


def flattened(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and plain values: switches as 0 and 1, lists as JSON."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{before}{name}.")
        elif isinstance(value, list):
            yield before + name, events.dump(value)
        else:
            yield before + name, int(value) if isinstance(value, bool) else value
