"""Everything that happens to a run, as a typed union: `JournalLine`, one JSON object a line, `seq` from 1 without gaps.

What the controller tells its clients over the WebSocket is `StreamMessage` in `stream.py`. The same objects serve
live, over the wire and replayed from a file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from engine.contract.api import ClassScore
from engine.contract.checkpoints import SaveCause
from engine.contract.errors import ErrorBody
from engine.contract.guards import Deed, GuardName
from engine.contract.held_adapters import AdapterChange
from engine.contract.states import EndReason, Phase, RunState

JOURNAL_VERSION = 1
MAX_LINE_BYTES = 16_000
"""Longer things go into a file that the line names."""


class _Line(BaseModel):
    """The part every journal line shares."""

    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")

    v: int = JOURNAL_VERSION
    seq: int = Field(ge=1)
    t: float
    """Wall-clock seconds since the epoch."""


class Started(_Line):
    """The worker is up and knows its order."""

    kind: Literal["started"] = "started"
    pid: int
    environment: dict[str, Any] = {}
    """python, torch, transformers, peft, platform, processor, threads, devices."""


class Planned(_Line):
    """What the worker will do, once model and data are loaded."""

    kind: Literal["planned"] = "planned"
    total_steps: int
    epochs: float
    rows: int
    validation_rows: int = 0
    held_out_rows: int = 0
    trained_tokens_per_epoch: int | None = None
    parameters: int = 0
    trainable_parameters: int = 0
    precision: str = ""
    device: str = ""
    model_commit: str = ""
    """Of a model from a hub: the commit its revision meant."""


class PhaseBegan(_Line):
    """The worker turned to something else."""

    kind: Literal["phase"] = "phase"
    phase: Phase
    done: float | None = None
    """Share of the phase that is done, 0 to 1; repeated lines of one phase move it."""
    bytes_done: int | None = None
    """Of a download: how much of it is here."""
    bytes_total: int | None = None
    bytes_per_second: float | None = None
    rows_done: int | None = None
    """Of reading rows: how many so far."""


class Step(_Line):
    """One optimiser step (or the mean over `log_every` of them).

    values: loss, learning_rate, grad_norm, tokens_per_second, samples_per_second, step_seconds,
    data_wait_seconds, tokens_seen; of preferences also rewards/chosen, rewards/rejected, rewards/margins,
    rewards/accuracies, logps/chosen, logps/rejected and others, the means since the line before; of own answers
    reward, reward_std, rewards/NAME of each reward, kl, clip_ratio, entropy, answer_length, answers_cut, groups_alike;
    of a mixture of experts balance_loss, expert_load/most (1: all are used alike), expert_load/idle (share unused).
    """

    kind: Literal["step"] = "step"
    step: int
    epoch: float
    values: dict[str, float]


class Validation(_Line):
    """Loss on the validation rows. values: validation_loss, and validation_rewards/… where there are preferences."""

    kind: Literal["validation"] = "validation"
    step: int
    values: dict[str, float]


class Device(_Line):
    """One second's reading of the machine, keyed `gpu0.utilisation`, `cpu.utilisation` …

    Of a GPU: utilisation %, memory_used and memory_total in bytes, temperature °C, power and power_limit in W.
    Without one there are only cpu.utilisation, cpu.process (% of one core), ram.used, ram.total, ram.process.
    """

    kind: Literal["device"] = "device"
    values: dict[str, float]
    names: dict[str, str] = {}
    """Device key to name ("gpu0": "NVIDIA H200"), sent with the first reading."""


class Score(_Line):
    """How good the model is on held-out rows: mostly the share of them that are right.

    `metric` is exact_match, pair_accuracy, accuracy, micro_f1, pearson, recall_at_1 or mrr, or mean_reward, which is no
    share; `after` is with what was trained.
    """

    kind: Literal["score"] = "score"
    when: Literal["before", "after"]
    metric: str = "exact_match"
    value: float
    """0 to 1; of mean_reward any number."""
    correct: int | None = None
    """None where the value is no share of rows."""
    rows: int
    more: dict[str, float] = {}
    """Other figures of the same rows, by name."""
    classes: list[ClassScore] = []
    """Of each class, where there are classes; of many the first."""
    answers_file: str | None = None
    """JSONL in the outputs folder: prompt, expected, answer, correct."""


class Sample(_Line):
    """One question and its answer."""

    kind: Literal["sample"] = "sample"
    when: Literal["before", "after", "now", "checkpoint"]
    """checkpoint: a fixed prompt, asked when a checkpoint was saved."""
    index: int
    step: int | None = None
    """Of an answer during training."""
    prompt: str
    expected: str = ""
    answer: str = ""
    correct: bool | None = None


class ArtifactSaved(_Line):
    """A result lies, complete and durable, under the attempt's folder."""

    kind: Literal["artifact"] = "artifact"
    artifact: Literal["adapter", "adapter_file", "model", "answers", "config"]
    path: str
    """Relative to the attempt's folder; a file or a folder."""
    step: int | None = None
    bytes: int = 0
    sha256: str = ""
    """Of the file; of a folder, of its sorted `name sha256` lines."""
    card: dict[str, Any] | None = None
    """Of an adapter's file: its `LoRACard`, without what is long."""


class DatasetMade(_Line):
    """A version of a dataset lies, complete and durable, in the library's folder."""

    kind: Literal["dataset"] = "dataset"
    hash: str
    rows: int
    refused: int = 0
    bytes: int = 0
    format: str
    problems: dict[str, int] = {}
    manifest_sha256: str
    """Of its `dataset.json`."""


class CheckpointSaved(_Line):
    """The whole state of training lies, complete and durable, in the run's folder."""

    kind: Literal["checkpoint"] = "checkpoint"
    path: str
    """Relative to the run's folder."""
    step: int
    epoch: float
    loss: float | None = None
    validation_loss: float | None = None
    best: bool = False
    """The lowest validation loss so far."""
    cause: SaveCause
    bytes: int
    sha256: str


class CheckpointRemoved(_Line):
    """A checkpoint made room for newer ones."""

    kind: Literal["checkpoint_removed"] = "checkpoint_removed"
    path: str


class Resumed(_Line):
    """This attempt goes on from a checkpoint; its first step is the one after."""

    kind: Literal["resumed"] = "resumed"
    attempt: int
    step: int
    path: str


class RowLossesSaved(_Line):
    """A file with the losses of single rows (`contract.row_losses`) is finished."""

    kind: Literal["rows"] = "rows"
    path: str
    """Relative to the attempt's folder."""
    first_step: int
    last_step: int
    records: int
    bytes: int
    sha256: str


class ManifestMade(_Line):
    """Everything the attempt's losses depend on, so that the run can be done again (`contract.reproduction`)."""

    kind: Literal["manifest"] = "manifest"
    manifest: dict[str, Any]


class MemoryForecast(_Line):
    """How much memory the run will take: as reckoned, and as a pass over its longest batch corrected it."""

    kind: Literal["memory_forecast"] = "memory_forecast"
    device: Literal["cpu", "cuda"] = "cpu"
    parts: dict[str, int]
    """Bytes by `contract.estimate.PARTS`, as reckoned before anything was measured."""
    total: int
    tensors: int
    """Of the total, what is tensors."""
    rows: int
    """Of the longest micro batch."""
    width: int
    """Tokens of its longest row."""
    trained: float
    """Share of them that is learned."""
    process: int
    """Bytes of the worker that were no tensors when training began."""
    measured: int | None = None
    """Bytes of tensors in that pass, with the optimiser's state; None: nothing was measured."""
    factor: float = 1.0
    """What activations are, of what is reckoned without a correction."""
    corrected: int | None = None
    """The total after the measurement."""
    shape: dict[str, Any] = {}
    """Of the model (`contract.model_shape`): what can be lowered is reckoned with it when memory runs out."""
    beside: int = 0
    """Bytes of other frozen models, such as a teacher."""
    optimizers: list[str] = []
    """Those with a state of 8 bits that can be had where it works."""


class MemoryFact(_Line):
    """How much memory training took, once it is over."""

    kind: Literal["memory"] = "memory"
    device: Literal["cpu", "cuda"] = "cpu"
    peak: int
    """Bytes at most: of the worker's process on a processor, of tensors on a GPU."""
    steps: int
    seconds: float
    tokens: int


class Note(_Line):
    """Something a person should know: what was chosen and why, what was cut, what looks odd."""

    kind: Literal["note"] = "note"
    level: Literal["info", "warning", "error"] = "info"
    code: str
    params: dict[str, Any] = {}


class GuardActed(_Line):
    """A guard saw something: what, at which step, and what was done."""

    kind: Literal["guard"] = "guard"
    guard: GuardName
    step: int
    deed: Deed
    wanted: str
    """The action its setting names; another was taken where that was not possible or was used up."""
    seen: dict[str, float] = {}
    """The figures it was seen by: value, usual, limit …"""
    code: str
    """Message that says what was seen and why it matters; `params` are its parameters."""
    params: dict[str, Any] = {}
    done: str
    """Message that says what was done."""
    level: Literal["warning", "error"] = "warning"


class Ready(_Line):
    """An instance answers, with these models."""

    kind: Literal["ready"] = "ready"
    host: str
    port: int
    models: list[str] = []
    """Names that can be asked for."""
    change: AdapterChange | None = None
    """The adapter that came or went; none: it only answers."""


class Acknowledged(_Line):
    """A command was carried out (or refused, with the error)."""

    kind: Literal["ack"] = "ack"
    command: str
    error: ErrorBody | None = None


class Ended(_Line):
    """The worker's last word. The state is what it believes; the controller decides."""

    kind: Literal["ended"] = "ended"
    state: RunState
    reason: EndReason
    step: int | None = None
    values: dict[str, float] = {}
    error: ErrorBody | None = None


JournalLine = Annotated[
    Started
    | Planned
    | PhaseBegan
    | Step
    | Validation
    | Device
    | Score
    | Sample
    | ArtifactSaved
    | DatasetMade
    | CheckpointSaved
    | CheckpointRemoved
    | Resumed
    | RowLossesSaved
    | ManifestMade
    | MemoryForecast
    | MemoryFact
    | Ready
    | Note
    | GuardActed
    | Acknowledged
    | Ended,
    Field(discriminator="kind"),
]
journal_line: TypeAdapter[JournalLine] = TypeAdapter(JournalLine)
"""Reads and checks one line: `journal_line.validate_json(text)`."""
