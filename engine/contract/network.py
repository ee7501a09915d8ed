"""Which network a worker in a container sees, and why: as little as its order needs."""

from __future__ import annotations

from typing import Any

from engine.contract.run_spec import RunSpec, TrainJob

LOCAL_HUBS = ("local", "bundled")


def network_of(spec: RunSpec) -> tuple[str, dict[str, Any]]:
    """The reason, as a code of the messages, and its parameters."""
    if spec.compute.network != "auto":
        return f"network.{spec.compute.network}", {}
    job = spec.job
    if isinstance(job, TrainJob) and job.model.hub not in LOCAL_HUBS:
        return "network.hub", {"hub": job.model.hub}
    return "network.nothing", {}


def needs_network(spec: RunSpec) -> bool:
    """Only whoever must ask a hub sees a network, and whoever asks for one."""
    return network_of(spec)[0] in ("network.hub", "network.open")
