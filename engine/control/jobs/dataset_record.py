"""Takes a version that a run made into the library, in the transaction that takes in the journal's line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.contract.datasets import ImportJob
from engine.contract.events import DatasetMade
from engine.contract.run_spec import RunSpec
from engine.contract.sampling import SampleJob
from engine.contract.stream import DatasetChanged
from engine.control.store import datasets, events, lineage
from engine.control.store.database import Transaction

if TYPE_CHECKING:
    from engine.control.jobs.ingest import Source


def take_in(transaction: Transaction, source: Source, line: DatasetMade) -> dict[str, Any]:
    """Register it; what the event says beside the line: which dataset, and which version of it."""
    row = transaction.one("SELECT spec FROM run_spec WHERE run_id = ?", (source.run_id,))
    job = RunSpec.model_validate_json(row["spec"]).job if row is not None else None
    if not isinstance(job, ImportJob | SampleJob):  # whoever writes such a line is no import of ours
        return {}
    parent = job.source.place if isinstance(job, ImportJob) and job.source.kind == "version" else None
    made = datasets.Made(
        job.dataset, line.hash, parent, source.uid, line.rows, line.refused, line.bytes, line.format, line.problems,
        line.manifest_sha256,
    )  # fmt: skip
    before = _newest_is_ours(transaction, job.dataset, source.uid)
    found = datasets.register(transaction, made, line.t)
    lineage.add_output(transaction, source.run_id, "dataset", line.hash, found.name)
    if not found.new and not before:
        body = {"level": "info", "code": "dataset.unchanged", "params": {"dataset": found.name, "version": found.n}}
        events.add(transaction, "note", body, at=line.t, run_id=source.run_id, attempt_id=source.attempt_id)
    transaction.news.append(DatasetChanged(dataset=datasets.view(transaction.connection, found.dataset_id)))
    return {"dataset": found.uid, "name": found.name, "version": found.n, "new": found.new or before}


def _newest_is_ours(transaction: Transaction, name: str, uid: str) -> bool:
    """An earlier attempt of this run made it, and did not live to say its last word."""
    row = datasets.find(transaction.connection, name)
    newest = datasets.newest_of(transaction.connection, row["id"]) if row is not None else None
    return newest is not None and newest["run"] == uid
