"""Settings that help, by their path in the run config; what is set so already is no change."""

from __future__ import annotations

from typing import Any

from engine.contract.api import ConfigChange
from engine.contract.run_spec import RunConfig, TrainJob
from engine.contract.tuners import TUNERS
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Advice

Changes = tuple[ConfigChange, ...]
MAX_LENGTH = 1_048_576
MAX_HANG_MINUTES = 100_000.0


def setting(*wanted: tuple[str, Any]) -> Advice:
    """Advice to set these to these values."""
    return lambda evidence: changed(evidence, *wanted)


def changed(evidence: Evidence, *wanted: tuple[str, Any]) -> Changes:
    """The changes that bring a config there; none for what is no training run."""
    if evidence.job is None:
        return ()
    document = RunConfig.from_spec(evidence.spec).document()
    found = []
    for path, value in wanted:
        was = _at(document, path)
        if was != value:
            found.append(ConfigChange(field=path, value=value, was=was))
    return tuple(found)


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


BATCH = ("training.micro_batch_size", "training.accumulation", "training.gradient_checkpointing", "data.max_length")
"""What `smaller_batch` may change."""


def smaller_batch(evidence: Evidence) -> Changes:
    """Half the rows at once, twice as often: the same step with less memory. Else recompute, else cut shorter."""
    job = evidence.job
    if job is None:
        return ()
    size, length = job.training.micro_batch_size, job.data.max_length
    if size > 1:
        half = size // 2
        accumulation = -(-size * job.training.accumulation // half)
        return changed(evidence, ("training.micro_batch_size", half), ("training.accumulation", accumulation))
    if not job.training.gradient_checkpointing:
        return changed(evidence, ("training.gradient_checkpointing", True))
    return changed(evidence, ("data.max_length", max(16, length // 2)))


def other_attention(evidence: Evidence) -> Changes:
    """An attention that needs less of the GPU; the plainest where that was in use."""
    job = evidence.job
    if job is None:
        return ()
    return changed(evidence, ("model.attention", "eager" if job.model.attention in ("auto", "sdpa") else "sdpa"))


def gradients_flow(evidence: Evidence) -> Changes:
    """Recomputing off, where it is on: it cuts the way of gradients; else adapters on all layers."""
    job = evidence.job
    if job is None:
        return ()
    if job.training.gradient_checkpointing:
        return changed(evidence, ("training.gradient_checkpointing", False))
    return changed(evidence, ("tuner.targets", ["all-linear"])) if "targets" in TUNERS[job.tuner.kind].settings else ()


def alone(evidence: Evidence) -> Changes:
    """One process: on one GPU, or on the processor."""
    place = evidence.spec.compute
    if place.members < 2:
        return ()
    return changed(evidence, ("compute.gpus", 1)) if place.gpus else changed(evidence, ("compute.processes", 1))


def longer_rows(evidence: Evidence) -> Changes:
    """Rows cut four times as late."""
    job: TrainJob | None = evidence.job
    return changed(evidence, ("data.max_length", min(MAX_LENGTH, job.data.max_length * 4))) if job else ()


def without_half(evidence: Evidence) -> Changes:
    """Arithmetic and weights in full precision."""
    return changed(evidence, ("training.precision", "fp32"), ("model.dtype", "auto"))


def without_bf16(evidence: Evidence) -> Changes:
    """A precision the GPU has, chosen by the worker."""
    job = evidence.job
    if job is None:
        return ()
    precision = "fp16" if job.training.precision == "auto" else "auto"
    return changed(evidence, ("training.precision", precision), ("model.dtype", "auto"))


ALL_LINEAR = setting(("tuner.targets", ["all-linear"]))
"""Adapters on every linear layer, by whatever names the model has for them."""
