"""What a run was made from and what came of it, by fingerprint, so that runs can be followed from one to the next."""

from __future__ import annotations

import hashlib

from engine.contract.datasets import ImportJob
from engine.contract.network import models_of
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.control.store.database import Transaction

INPUT, OUTPUT = "input", "output"


def store_inputs(transaction: Transaction, run_id: int, spec: RunSpec) -> None:
    """Replace the inputs of a run by those its spec names now."""
    transaction.execute("DELETE FROM lineage WHERE run_id = ? AND role = ?", (run_id, INPUT))
    if isinstance(spec.job, ImportJob):
        _store_import(transaction, run_id, spec.job)
    if isinstance(spec.job, SampleJob):
        _store_sampling(transaction, run_id, spec.job)
    if isinstance(spec.job, ServeJob):
        _store_serving(transaction, run_id, spec.job)
    if not isinstance(spec.job, TrainJob):
        return
    model, data = spec.job.model, spec.job.data
    _add(transaction, run_id, INPUT, "model", path_fingerprint(model.hub, model.path, model.revision), model.path)
    for teacher in models_of(spec.job)[1:]:
        fingerprint = path_fingerprint(teacher.hub, teacher.path, teacher.revision)
        _add(transaction, run_id, INPUT, "teacher", fingerprint, teacher.path)
    held_out = [source for source in spec.job.evaluation.data if source.version]
    for source in (*data.train, *data.validation, *held_out):
        fingerprint = source.version or path_fingerprint(source.hub, source.path)
        _add(transaction, run_id, INPUT, "dataset", fingerprint, source.path)


def _store_import(transaction: Transaction, run_id: int, job: ImportJob) -> None:
    """A version it reads or compares with is known by what it holds, anything else by its place."""
    source = job.source
    if source.kind == "version":
        _add(transaction, run_id, INPUT, "dataset", source.place, job.dataset)
    else:
        fingerprint = path_fingerprint(source.kind, source.place, source.revision)
        _add(transaction, run_id, INPUT, "source", fingerprint, source.name or source.place)
    for version in job.checks.against:
        _add(transaction, run_id, INPUT, "dataset", version, None)


def _store_sampling(transaction: Transaction, run_id: int, job: SampleJob) -> None:
    """The model that answers, its adapter, and what is asked."""
    model, source = job.model, job.source
    _add(transaction, run_id, INPUT, "model", path_fingerprint(model.hub, model.path, model.revision), model.path)
    if job.adapter:
        _add(transaction, run_id, INPUT, "adapter", path_fingerprint("local", job.adapter), job.adapter)
    fingerprint = source.version or path_fingerprint(source.hub, source.path)
    _add(transaction, run_id, INPUT, "dataset", fingerprint, source.path)


def _store_serving(transaction: Transaction, run_id: int, job: ServeJob) -> None:
    """The base model, and the adapters that are there from the start."""
    model = job.model
    _add(transaction, run_id, INPUT, "model", path_fingerprint(model.hub, model.path, model.revision), model.path)
    for adapter in job.adapters:
        _add(transaction, run_id, INPUT, "adapter", path_fingerprint("local", adapter.path), adapter.path)
    if job.route_model:
        _add(transaction, run_id, INPUT, "model", path_fingerprint("local", job.route_model), job.route_model)


def add_output(transaction: Transaction, run_id: int, kind: str, sha256: str, name: str) -> None:
    """Something the run made; without a hash it could not be recognised and is left out."""
    if sha256:
        _add(transaction, run_id, OUTPUT, kind, sha256, name)


def path_fingerprint(hub: str, path: str, revision: str | None = None) -> str:
    """Stands for a model or dataset whose content has not been hashed."""
    return hashlib.sha256(f"{hub}:{path}:{revision or ''}".encode()).hexdigest()


def _add(transaction: Transaction, run_id: int, role: str, kind: str, fingerprint: str, name: str | None) -> None:
    transaction.execute(
        "INSERT OR IGNORE INTO lineage(run_id, role, kind, hash, name) VALUES (?,?,?,?,?)",
        (run_id, role, kind, fingerprint, name),
    )
