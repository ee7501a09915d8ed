"""What the controller's HTTP API takes and gives. The routes are listed in docs/architecture.md."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.errors import ErrorBody, Problem
from engine.contract.run_spec import RunSpec
from engine.contract.states import EndReason, Phase, RunState


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


class ScoreInfo(_Body):
    """Exact match before or after."""

    when: str
    metric: str
    value: float
    correct: int
    rows: int


class SampleInfo(_Body):
    """A sample answer before or after."""

    when: str
    index: int
    prompt: str
    expected: str = ""
    answer: str = ""
    correct: bool | None = None


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


class StopRun(_Body):
    """Stop a run; `save` keeps what was learned so far."""

    save: bool = True


class CheckResult(_Body):
    """What is wrong with a config, if anything."""

    problems: list[Problem] = []


class QueryRequest(_Body):
    """A helper query: inspect_model {path, hub} | preview_data {path, hub, format, rows}."""

    kind: str
    params: dict[str, Any] = {}


class QueryAnswer(_Body):
    """What a helper process found out, or why it could not."""

    result: dict[str, Any] = {}
    error: ErrorBody | None = None


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


class Health(_Body):
    """Who answers."""

    version: str
    protocol: int
    pid: int
    home: str
    started: float
    worker_python: str | None = None
    """The interpreter local workers would use; None if there is none."""
