"""Which network a worker in a container sees, and why: as little as its order needs."""

from __future__ import annotations

from typing import Any

from engine.contract.model import ModelConfig
from engine.contract.run_spec import Job, RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.contract.stages import stage_of

LOCAL_HUBS = ("local", "bundled", "scratch")


def network_of(spec: RunSpec) -> tuple[str, dict[str, Any]]:
    """The reason, as a code of the messages, and its parameters."""
    if spec.compute.network != "auto":
        return f"network.{spec.compute.network}", {}
    job = spec.job
    hubs = [source.hub for source in models_of(job) if source.hub not in LOCAL_HUBS]
    if isinstance(job, TrainJob) and job.outputs.push.hub != "none":
        hubs.append(job.outputs.push.hub)
    if hubs:
        return "network.hub", {"hub": hubs[0]}
    return "network.nothing", {}


def models_of(job: Job) -> list[ModelConfig]:
    """The models a run reads: the one that learns, and its teacher."""
    if isinstance(job, SampleJob | ServeJob):
        return [job.model]
    if not isinstance(job, TrainJob):
        return []
    teacher = job.teacher.source if stage_of(job.stage).teacher else None
    return [job.model, *([teacher] if teacher is not None else [])]


def needs_network(spec: RunSpec) -> bool:
    """Only whoever must ask a hub sees a network, and whoever asks for one."""
    return network_of(spec)[0] in ("network.hub", "network.open")
