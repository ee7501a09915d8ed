"""What a worker's container may do and see: as little as it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import docker

from engine.contract.nodes import NodeProfile
from engine.contract.paths import HOME_VARIABLE
from engine.control.executors.code import WORKER_PATH
from engine.control.executors.docker import names

TMP_BYTES = 4 << 30
NOFILE = 8_192
"""Open files; engines that may not raise limits themselves allow no more than they have."""
LOG_OPTIONS = {"max-size": "50m", "max-file": "3"}
OF_HERE = frozenset({HOME_VARIABLE, WORKER_PATH, "CUDA_VISIBLE_DEVICES", "PYTHONPATH", "PATH", "HOME", "TMPDIR"})
"""Variables that mean something on the controller's computer only."""
FIXED = {
    HOME_VARIABLE: str(names.JOB), "PYTHONUNBUFFERED": "1", "HOME": "/tmp", "TMPDIR": "/tmp", "XDG_CACHE_HOME": "/tmp",
    "TORCHINDUCTOR_CACHE_DIR": "/tmp/torchinductor", "USER": "forge",
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One container to be made."""

    name: str
    image: str
    command: Sequence[str]
    labels: Mapping[str, str]
    volume: str
    """Mounted at /job; what is written stays there."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Volume to where it is mounted, read-only."""
    environment: Mapping[str, str] = field(default_factory=dict)
    devices: Sequence[str] = ()
    network: bool = False
    ports: Sequence[int] = ()
    """Served in there; the node has each on a port of its own 127.0.0.1."""


def create(api: docker.APIClient, plan: Plan, profile: NodeProfile) -> str:
    """Make it, without starting it; its id."""
    answer = api.create_container(
        image=plan.image, command=list(plan.command), name=plan.name, user=f"{names.USER}:{names.USER}",
        environment=environment(plan, profile), labels=dict(plan.labels), working_dir=str(names.JOB), entrypoint=[],
        ports=list(plan.ports) or None, network_disabled=False,
        host_config=api.create_host_config(**host_options(plan, profile)),
    )  # fmt: skip
    return str(answer["Id"])


def environment(plan: Plan, profile: NodeProfile) -> dict[str, str]:
    """The worker's variables: those that are asked for and mean something there, and ours."""
    found = {name: value for name, value in plan.environment.items() if name not in OF_HERE} | FIXED
    if profile.limits.cpus is not None:  # the number of cores it sees is the node's
        found["OMP_NUM_THREADS"] = str(max(1, int(profile.limits.cpus)))
    if not plan.devices:
        found["NVIDIA_VISIBLE_DEVICES"] = "void"
    return found


def host_options(plan: Plan, profile: NodeProfile) -> dict[str, Any]:
    """Everything that binds it, as the engine is told."""
    limits = profile.limits
    options: dict[str, Any] = {
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "network_mode": "bridge" if plan.network or plan.ports else "none",
        "ipc_mode": "private",
        "pids_limit": limits.pids,
        "shm_size": int(limits.shm_gb * (1 << 30)),
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={TMP_BYTES},mode=1777"},
        "ulimits": [
            docker.types.Ulimit(name="nofile", soft=NOFILE, hard=NOFILE),
            docker.types.Ulimit(name="core", soft=0, hard=0),
        ],
        "log_config": docker.types.LogConfig(type="json-file", config=LOG_OPTIONS),
        "restart_policy": {"Name": "no"},
        "mounts": mounts(plan, profile),
    }
    if plan.ports:
        options["port_bindings"] = dict.fromkeys(plan.ports, ("127.0.0.1", None))
    if limits.memory_gb is not None:
        options["mem_limit"] = options["memswap_limit"] = int(limits.memory_gb * (1 << 30))
    if limits.cpus is not None:
        options["nano_cpus"] = int(limits.cpus * 1e9)
    if plan.devices:
        gpus = docker.types.DeviceRequest(device_ids=list(plan.devices), capabilities=[["gpu"]])
        options["device_requests"] = [gpus]
    return options


def mounts(plan: Plan, profile: NodeProfile) -> list[Any]:
    """The run's volume, its inputs, and the folders of the node that its profile names; only the first is written."""
    mount = docker.types.Mount
    found = [mount(str(names.JOB), plan.volume, type="volume")]
    found += [mount(target, volume, type="volume", read_only=True) for volume, target in plan.inputs.items()]
    for entry in profile.mounts:
        source, _, target = entry.partition(":")
        found.append(mount(target.removesuffix(":ro"), source, type="bind", read_only=True))
    return found
