"""What the controller's HTTP API takes and gives. The routes are listed in docs/architecture.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.errors import ErrorBody, Problem
from engine.contract.ladder import Rung
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason, Mark, Phase, RunState


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class RunSummary(_Body):
    """A run as a list shows it."""

    uid: str
    name: str
    project: str
    owner: str
    kind: str
    lane: str
    state: RunState
    reason: EndReason | None = None
    priority: int = 0
    model: str = ""
    dataset: str = ""
    method: str = ""
    tags: list[str] = []
    created: float
    started: float | None = None
    finished: float | None = None
    attempt: int = 0
    """Number of the latest attempt, 0 before the first."""
    phase: Phase | None = None
    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    eta_seconds: float | None = None
    node: str = ""
    sparkline: list[float] = []
    """Up to 48 values of the training loss, oldest first."""
    error: ErrorBody | None = None
    mark: Mark | None = None
    mark_since: float | None = None
    """Since when the mark stands."""
    pinned: bool = False
    """Its working files stay until somebody deletes them."""
    retries: int = 0
    """Automatic retries since a person last started it."""
    retry_at: float | None = None
    """When the next automatic retry is due."""
    expires: float | None = None
    """When the working files (checkpoints, log, journal) of the ended run go."""
    cleaned: float | None = None
    """When they went."""
    seconds: float = 0.0
    """Time its attempts ran, together, up to now."""
    cost: float | None = None
    """That time at the price of its node, or of its lane, then; None where no price was set."""
    currency: str = ""
    """Of the cost; empty: that of the settings."""
    score: float | None = None
    """Share of exact matches after training."""
    tokens_seen: int | None = None
    """Tokens it was trained on so far; None where no worker told."""


class RunPage(_Body):
    """One page of the list of runs, and how many there are."""

    runs: list[RunSummary]
    total: int
    counts: dict[str, int]
    """Runs by state, before filters."""
    cursor: int
    """Stream messages after this cursor are news to this page."""


class AttemptInfo(_Body):
    """One start of a run."""

    n: int
    cause: str
    started: float | None = None
    ended: float | None = None
    reason: EndReason | None = None
    exit_code: int | None = None
    environment: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    """The worker's `planned` line, once known."""
    resumed_attempt: int | None = None
    """Attempt and step of the checkpoint it went on from."""
    resumed_step: int | None = None
    first_step: int | None = None
    """The first step it reported."""


class ArtifactInfo(_Body):
    """A result that can be downloaded."""

    id: int
    attempt: int
    kind: str
    name: str
    step: int | None = None
    bytes: int = 0
    sha256: str = ""
    created: float = 0.0


class CheckpointInfo(_Body):
    """A checkpoint that a run can go on from."""

    id: int
    attempt: int
    step: int
    epoch: float
    loss: float | None = None
    validation_loss: float | None = None
    best: bool = False
    cause: str
    name: str
    bytes: int = 0
    sha256: str = ""
    created: float = 0.0
    kept: bool = False
    """It stays until somebody says otherwise, whatever newer ones there are and however long the run has ended."""


class ConfigChange(_Body):
    """One setting of the run config and the value a diagnosis suggests."""

    field: str
    value: Any
    was: Any = None


class Diagnosis(_Body):
    """Why a run failed, in the words of a rule: its texts stand under `diagnosis.<rule>` in the messages."""

    rule: str
    what: str
    why: str = ""
    fix: str = ""
    params: dict[str, Any] = {}
    lines: list[str] = []
    """The lines of the log that matter."""
    changes: list[ConfigChange] = []
    """What "New run with this change" would change; empty: nothing in the config helps."""


class ClassScore(_Body):
    """How well one class is told from the others."""

    label: str
    rows: int
    """That are of it."""
    given: int
    """That were said to be of it."""
    right: int
    """That are of it, and were said to be."""
    f1: float


class ScoreInfo(_Body):
    """How good the model is on held-out rows, before or after."""

    when: str
    metric: str
    value: float
    correct: int | None = None
    rows: int
    more: dict[str, float] = {}
    classes: list[ClassScore] = []

    @property
    def is_share(self) -> bool:
        """So many of the rows are right; a mean reward is any number."""
        return self.metric != "mean_reward"


class SampleInfo(_Body):
    """A sample answer before or after."""

    when: str
    index: int
    prompt: str
    expected: str = ""
    answer: str = ""
    correct: bool | None = None
    step: int | None = None


class EventInfo(_Body):
    """A line of a run's timeline."""

    cursor: int
    at: float
    attempt: int | None = None
    kind: str
    level: int = 20
    actor: str = ""
    body: dict[str, Any] = {}


class SeriesInfo(_Body):
    """A curve that can be fetched."""

    metric: str
    axis: str
    """step or time."""
    n: int
    last_x: float | None = None
    last: float | None = None
    min: float | None = None
    max: float | None = None


class RunDetail(_Body):
    """Everything a run page shows besides curves and log."""

    run: RunSummary
    spec: RunSpec
    attempts: list[AttemptInfo] = []
    series: list[SeriesInfo] = []
    scores: list[ScoreInfo] = []
    samples: list[SampleInfo] = []
    artifacts: list[ArtifactInfo] = []
    checkpoints: list[CheckpointInfo] = []
    """Those that are there, newest last."""
    diagnosis: Diagnosis | None = None
    rungs: list[Rung] = []
    """What can be lowered, where memory ran out."""
    lowered: list[Rung] = []
    """What was lowered since it was made."""
    events: list[EventInfo] = []
    device_names: dict[str, str] = {}
    submit_to_first_step_s: float | None = None
    log_bytes: int = 0
    cursor: int = 0


class CreateRun(_Body):
    """Make a run; start it, or leave it as a draft."""

    spec: RunSpec
    start: bool = True


class EditRun(_Body):
    """Change a draft's spec, or a waiting run's priority, or any run's name and tags."""

    spec: RunSpec | None = None
    priority: int | None = None
    name: str | None = None
    tags: list[str] | None = None
    pinned: bool | None = None


class StopRun(_Body):
    """Stop a run; `save` keeps what was learned so far."""

    save: bool = True


class ResumeRun(_Body):
    """Go on with a run as a new attempt: paused, stopped, failed, or (from an earlier step or further) completed."""

    checkpoint: int | None = None
    """Id of the checkpoint; None: the newest whole one."""
    from_start: bool = False
    """Start over, with no checkpoint at all."""
    epochs: float | None = Field(default=None, gt=0)
    """Train this many epochs in all: extends (or shortens) the run."""
    rung: str | None = None
    """What to lower (`contract.ladder`), where memory ran out."""
    max_steps: int | None = Field(default=None, ge=1)


class KeepCheckpoint(_Body):
    """Keep a checkpoint for good, or no longer."""

    kept: bool = True


class SampleNow(_Body):
    """Ask the model that is being trained; training goes on as if nobody had asked."""

    prompts: list[str] = Field(min_length=1, max_length=20)
    max_new_tokens: int = Field(default=64, ge=1, le=2048)


class LogEvery(_Body):
    """Another interval between two points of the curve of a run that trains."""

    steps: int = Field(ge=1, le=1_000_000)


class CheckResult(_Body):
    """What is wrong with a config, if anything."""

    problems: list[Problem] = []
    missing: list[str] = []
    """Modules that some choices need (`packages.NEEDS`) and that are not where it would work: on this computer."""


class QueryRequest(_Body):
    """A helper query: inspect_model {path, hub, revision} | preview_data {path, hub, format, rows} |
    preview_row {model, source, stage, max_length, assistant_only_loss, rows}."""

    kind: str
    params: dict[str, Any] = {}


SLOW_QUERIES: Mapping[str, float] = {"write_adapter": 1800.0}
"""Kinds of queries that read and write large files, and how many seconds a helper may take for one."""


class QueryAnswer(_Body):
    """What a helper process found out, or why it could not."""

    result: dict[str, Any] = {}
    error: ErrorBody | None = None
    status: int | None = None
    """Which kind of error it is, as HTTP says it."""


class Settings(_Body):
    """Settings of the controller that a person may change."""

    slots: dict[str, int] | None = None
    """Lane to number of slots; None: one a GPU (one on a CPU-only machine), 4 cpu, 8 light."""
    worker_python: str | None = None
    """Interpreter of local workers; None: found by itself."""
    idle_minutes: float = Field(default=10.0, ge=0)
    """The controller ends after so long without clients and with nothing that runs or waits."""
    stop_grace_seconds: float = Field(default=60.0, ge=0)
    """A worker that was asked to stop and save is killed after so long."""
    keep_days: float | None = Field(default=7.0, ge=0)
    """Working files of ended runs go after so many days; None: never. Results are in the library by then."""
    retry_seconds: float = Field(default=10.0, ge=0)
    """Wait before the first automatic retry; each further one waits twice as long, an hour at most."""
    spare_workers: int = Field(default=1, ge=0, le=8)
    """Workers that have everything imported, so that a run begins at once; 0: none."""
    spare_memory_gb: float = Field(default=1.5, ge=0)
    """Spare workers are given up while less memory than this is available."""
    spare_method: Literal["auto", "spawn"] = "auto"
    """How a spare becomes a worker: by a fork where that is safe, or always as a process of its own."""
    prices: dict[str, float] = {}
    """Lane to the price of one hour of one of its slots; a lane without one costs nothing that is known."""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    """Of the prices, as ISO 4217 writes it."""
    worker_image: str = Field(default="", max_length=500)
    """Container image of workers; empty: the one of this version."""
    owner_limit: int | None = Field(default=None, ge=1, le=1000)
    """Most runs of one person at once; None: no limit. 1 is recommended where several share a controller."""
    budget: float | None = Field(default=None, ge=0)
    """What may be spent in `budget_days`, in `currency`; past 80 % of it an alert is raised. None: not watched."""
    budget_days: int = Field(default=30, ge=1, le=3660)
    artifact_place: str = Field(default="", max_length=1000)
    """Where checkpoints and results lie a second time: a folder, or s3://bucket/prefix; empty: nowhere."""
    artifact_endpoint: str = Field(default="", max_length=500)
    """Address of the S3 service, where it is not Amazon's."""
    artifact_region: str = Field(default="", max_length=100)
    artifact_minutes: float = Field(default=10.0, ge=0)
    """Checkpoints of a run at work go there so many minutes apart at least."""
    endpoints: dict[str, str] = {}
    """Hub to the address it is reached at, where that is not its own: a mirror or a local copy."""
    proxy: str = ""
    """http://host:port that hubs are reached through; user and password are a secret."""
    no_proxy: str = ""
    """Hosts that are reached directly, with commas between."""
    offline: bool = False
    """Never ask a hub: only what is here already can be used."""
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """How much controller and workers write into their logs."""
    log_json: bool = False
    """Write the logs as one JSON object a line."""


class Health(_Body):
    """Who answers."""

    version: str
    protocol: int
    pid: int
    home: str
    started: float
    worker_python: str | None = None
    """The interpreter local workers would use; None if there is none."""
    spare: str = "off"
    """Of spare workers: ready, warming, off, given_up (memory is short), broken (it is tried again later)."""
    spare_bytes: int = 0
    """Memory they hold."""
