"""Nodes: the computers workers run on. How one is reached, how it stands, and what its doctor found."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.errors import ErrorBody

LOCAL = "local"
"""The controller's own computer, workers as processes. It is always there."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,59}")
NodeKind = Literal["process", "docker_local", "docker_ssh", "docker_tls"]
KINDS: tuple[NodeKind, ...] = ("process", "docker_local", "docker_ssh", "docker_tls")
NodeState = Literal["online", "draining", "offline"]
"""What a person wants: online takes runs; draining lets its runs end and takes no more; offline takes none either."""
Reach = Literal["checking", "reachable", "unreachable", "unused"]
"""Whether it answers; unused: offline, so nobody asks it."""
CheckState = Literal["waiting", "running", "ok", "warning", "bad", "skipped"]
CheckName = Literal[
    "reach", "authentication", "version", "live_restore", "runtime", "driver", "gpus", "disk", "bandwidth", "clock",
    "image", "isolation", "owner",
]  # fmt: skip
CHECKS: tuple[CheckName, ...] = (
    "reach", "authentication", "version", "live_restore", "runtime", "driver", "gpus", "disk", "bandwidth", "clock",
    "image", "isolation", "owner",
)  # fmt: skip
"""In the order a doctor goes through them. `owner`: no other controller uses the node."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class NodeLimits(_Body):
    """What one container may use of a node; empty: the executor's own choice."""

    cpus: float | None = Field(default=None, gt=0, le=4096)
    memory_gb: float | None = Field(default=None, gt=0, le=65536)
    shm_gb: float = Field(default=1.0, gt=0, le=4096)
    pids: int = Field(default=4096, ge=64, le=1_000_000)


class NodeProfile(_Body):
    """How a node is reached and what it is used for. It holds no secret: those are named by reference."""

    name: str = Field(min_length=1, max_length=60)
    kind: NodeKind = "docker_local"
    address: str = ""
    """Of docker_ssh `[user@]host[:port]`, of docker_tls `host:port`, of docker_local a socket's path (empty: usual)."""
    key: str = ""
    """Private key: a file's path on the controller's computer, or `keyring:NAME`."""
    certificate: str = ""
    """The client's certificate (TLS): as `key`."""
    ca: str = ""
    """The authority that signed the server's certificate (TLS): as `key`."""
    host_key: str = ""
    """The server's public host key (SSH) as a known_hosts line or its SHA256 fingerprint; empty: the user's
    known_hosts decides. An unknown host is never trusted silently."""
    docker_socket: str = ""
    """Path of the engine's socket on the far side (SSH); empty: usual."""
    image: str = ""
    """Worker image; empty: that of the settings."""
    price: float | None = Field(default=None, ge=0, le=1e9)
    """Of one GPU (of the node, if it has none) for an hour."""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    max_runs: int | None = Field(default=None, ge=0, le=64)
    """Most runs at once; None: one a GPU (one without GPUs)."""
    labels: dict[str, str] = {}
    notes: str = Field(default="", max_length=4000)
    limits: NodeLimits = NodeLimits()
    mounts: list[str] = []
    """Folders of the node that its containers see, read-only: `/there:/in/the/container`."""
    mirror_minutes: float = Field(default=10.0, ge=0, le=100_000)
    """Checkpoints are copied off the node at most this often while a run goes on; 0: each one."""


class GpuFacts(_Body):
    """A GPU of a node, as its doctor found it."""

    index: str
    name: str = ""
    uuid: str = ""
    memory: int = 0
    """Bytes."""
    ecc: bool | None = None


class NodeFacts(_Body):
    """What is known of a node's machine, as it last said."""

    engine: str = ""
    """Version of Docker."""
    system: str = ""
    cpus: int = 0
    memory: int = 0
    """Bytes."""
    gpus: list[GpuFacts] = []
    live_restore: bool | None = None
    gives_gpus: bool | None = None
    """Whether a container with a GPU was really started there."""
    image: str = ""
    """Id of the worker image there."""
    engine_id: str = ""
    """Docker's own name of the engine: two profiles of one engine are noticed by it."""


class NodeRun(_Body):
    """A run that works on a node now."""

    uid: str
    name: str
    state: str
    owner: str = ""
    devices: list[str] = []
    eta_seconds: float | None = None


class NodeView(_Body):
    """A node as a page shows it."""

    profile: NodeProfile
    state: NodeState = "online"
    reach: Reach = "checking"
    error: ErrorBody | None = None
    """Why it does not answer, or cannot be used."""
    last_seen: float | None = None
    facts: NodeFacts = NodeFacts()
    slots: int = 1
    runs: list[NodeRun] = []
    values: dict[str, float] = {}
    """The last reading, keys as in a journal's `device` line, and disk.used, disk.total, disk.free."""
    names: dict[str, str] = {}
    read_at: float | None = None
    alerts: int = 0
    """How many alerts it has now."""


class Nodes(_Body):
    """All nodes, and the worker image they use unless they say otherwise."""

    nodes: list[NodeView] = []
    image: str = ""
    moves: list[MoveView] = []
    """Moves under way, and those that ended in the last hour."""


class SetNodeState(_Body):
    """Drain a node, take it offline, or back online."""

    state: NodeState


class DoctorCheck(_Body):
    """One thing the doctor looked at."""

    name: CheckName
    state: CheckState = "waiting"
    facts: dict[str, Any] = {}
    """What was measured, by name: milliseconds, bytes, versions."""
    error: ErrorBody | None = None
    """What is wrong, why, and the fix, where the state is warning or bad; where it is skipped perhaps why."""
    seconds: float = 0.0


class DoctorReport(_Body):
    """What a doctor found at a node."""

    node: str
    at: float = 0.0
    done: bool = False
    checks: list[DoctorCheck] = []
    facts: NodeFacts = NodeFacts()

    @property
    def usable(self) -> bool:
        """Nothing is bad."""
        return self.done and all(check.state not in ("bad", "waiting", "running") for check in self.checks)


MoveState = Literal["running", "done", "failed", "cancelled"]
MoveStep = Literal["saving", "stopping", "copying", "verifying", "starting", "releasing", "done"]
MOVE_STEPS: tuple[MoveStep, ...] = ("saving", "stopping", "copying", "verifying", "starting", "releasing", "done")


class MoveRun(_Body):
    """Move a live run to another node; without one the scheduler's choice."""

    node: str = ""


class MoveView(_Body):
    """How the move of a run gets on."""

    uid: str
    run: str
    name: str
    source: str
    target: str
    state: MoveState = "running"
    step: MoveStep = "saving"
    train_step: int | None = None
    """The step training goes on from."""
    bytes: int = 0
    bytes_total: int = 0
    began: float = 0.0
    ended: float | None = None
    downtime: float | None = None
    """Seconds between the last step on the source and the first on the target."""
    error: ErrorBody | None = None


class Candidate(_Body):
    """A node, and what the scheduler thinks of it for a run."""

    node: str
    fits: bool
    code: str
    """Why, as a message's code: `placement.*`."""
    params: dict[str, Any] = {}
    score: float = 0.0
    free_gpus: int = 0
    gpus: int = 0
    free_memory: int | None = None
    """Bytes of the emptiest GPU, where it is known."""
    temperature: float | None = None
    price: float | None = None
    currency: str = "USD"
    data_there: bool = False
    """Its cache holds the run's model or data already."""


class PlacementAnswer(_Body):
    """Where a run would go now, and why; or why it waits."""

    node: str | None = None
    """None: it waits."""
    code: str = ""
    params: dict[str, Any] = {}
    candidates: list[Candidate] = []
    network: str = ""
    """Which network a container of it sees, and why: a code; `network_params` belong to it."""
    network_params: dict[str, Any] = {}


InstanceKind = Literal["train", "serve", "evaluate", "sample", "query", "spare", "probe"]
InstanceState = Literal["created", "running", "paused", "exited", "unreachable", "gone"]
InstanceVerb = Literal["stop", "kill", "remove", "adopt"]


class Instance(_Body):
    """A container or process that this program manages on a node."""

    id: str
    """`node/handle`: what verbs are asked with."""
    node: str
    kind: InstanceKind = "train"
    state: InstanceState = "running"
    run: str = ""
    run_name: str = ""
    attempt: int = 0
    owner: str = ""
    image: str = ""
    devices: list[str] = []
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    expires: float | None = None
    """When it is removed."""
    exit_code: int | None = None
    known: bool = True
    """The history knows it; one that it does not know is offered for adoption."""
    cpu_percent: float | None = None
    memory: int | None = None
    endpoint: str = ""


class Instances(_Body):
    """All of them, and the nodes that could not be asked."""

    instances: list[Instance] = []
    unreachable: dict[str, ErrorBody] = {}


class InstanceDeed(_Body):
    """Do something to instances."""

    ids: list[str] = Field(min_length=1, max_length=1000)
    verb: InstanceVerb
    force: bool = False
    """Adopt also what a controller of another computer made, of which nobody here can say whether it lives."""


class DeedResult(_Body):
    """Instance id to what went wrong; those that are missing went well."""

    done: int = 0
    errors: dict[str, ErrorBody] = {}


Nodes.model_rebuild()


class NodeProfiles(_Body):
    """Profiles as they are exported and imported; without secrets."""

    version: Literal[1] = 1
    nodes: list[NodeProfile] = []


class CostRow(_Body):
    """What was spent on one day, node or person."""

    key: str
    gpu_hours: float = 0.0
    cost: float = 0.0
    currency: str = "USD"
    runs: int = 0
    failed: int = 0


class Costs(_Body):
    """Spending between two moments."""

    since: float
    until: float
    by: Literal["day", "node", "owner"] = "day"
    rows: list[CostRow] = []
    totals: dict[str, float] = {}
    """Currency to sum."""
    budget: float | None = None
    budget_used: float | None = None


class NodeHistory(_Body):
    """Readings of a node between two moments, thinned to what a chart can show."""

    node: str
    seconds: float = 0.0
    """Between two points: as read, a minute, an hour."""
    series: dict[str, list[tuple[float, float]]] = {}
    """Name of a value to (time, value), oldest first."""


class ImageInfo(_Body):
    """A worker image on a node."""

    id: str
    tags: list[str] = []
    version: str = ""
    commit: str = ""
    protocol: int | None = None
    bytes: int = 0
    created: str = ""
    usable: bool = True
    """Its protocol is this controller's."""


class PushImage(_Body):
    """Bring an image from this computer's engine to a node."""

    image: str = ""


class Transfer(_Body):
    """How a long copy to a node gets on."""

    node: str
    what: str
    done: int = 0
    total: int = 0
    state: Literal["running", "done", "failed"] = "running"
    error: ErrorBody | None = None
