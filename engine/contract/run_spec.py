"""What a run is asked to do: the envelope every kind shares, and the job inside it.

`RunSpec` is what travels and is stored. `RunConfig` is the same content as people write it in YAML for a
training run, in one flat document; `to_spec` and `from_spec` turn one into the other without loss.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.contract.checkpoints import CheckpointConfig, ResumePoint
from engine.contract.compute import ComputeConfig, Limits, Placement
from engine.contract.data import DataConfig
from engine.contract.hubs import HubAccess
from engine.contract.model import ModelConfig
from engine.contract.setting import Settings, setting
from engine.contract.states import Lane
from engine.contract.training import EvaluationConfig, OutputConfig, TrainingConfig
from engine.contract.tuner import TunerConfig

CONFIG_VERSION = 1
Stage = Literal["sft", "pretrain", "dpo", "kto", "orpo", "cpo", "simpo", "reward", "grpo"]
RUNNABLE_STAGES = ("sft", "pretrain")
NAME_PATTERN = r"^[^\x00-\x1f/\\]+$"


class TrainJob(Settings):
    """Fine-tune or pretrain a model."""

    kind: Literal["train"] = "train"
    model: ModelConfig
    data: DataConfig
    stage: Stage = "sft"
    tuner: TunerConfig = TunerConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    outputs: OutputConfig = OutputConfig()

    @property
    def lane(self) -> Lane:
        """Training waits for a device."""
        return Lane.GPU


class LaterJob(Settings):
    """A kind that has its name already and is refused by that name until it can run."""

    kind: Literal["evaluate", "export", "import", "sample", "serve", "study"]

    @property
    def lane(self) -> Lane:
        """Where it would wait."""
        return Lane.CPU if self.kind in ("import", "export") else Lane.GPU


Job = Annotated[TrainJob | LaterJob, Field(discriminator="kind")]


class RunSpec(Settings):
    """A whole order for a run, of any kind."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    project: str = Field("default", min_length=1, max_length=120, pattern=NAME_PATTERN)
    owner: str = Field("", max_length=120)
    compute: Placement = Placement()
    priority: int = Field(0, ge=-100, le=100)
    limits: Limits = Limits()
    tags: list[str] = Field(default_factory=list, max_length=50)
    job: Job

    @property
    def kind(self) -> str:
        """What sort of run it is."""
        return self.job.kind

    def sha256(self) -> str:
        """Fingerprint of the canonical JSON form."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class RunConfig(Settings):
    """A training run as people read and write it."""

    version: Literal[1] = setting(CONFIG_VERSION, "Version of this file's form.", label="Version")
    kind: Literal["train"] = setting("train", "What sort of run it is.", label="Kind")
    name: str = setting(
        ...,
        "What the run is called in lists.",
        label="Run name",
        basic=True,
        min_length=1,
        max_length=120,
        pattern=NAME_PATTERN,
    )
    project: str = setting(
        "default", "Group the run belongs to.", label="Project", min_length=1, max_length=120, pattern=NAME_PATTERN
    )
    tags: list[str] = setting(list, "Words to find the run by.", label="Tags", max_length=50)
    model: ModelConfig = setting(..., "The base model.", label="Model")
    data: DataConfig = setting(..., "Training and validation rows.", label="Dataset")
    stage: Stage = setting(
        "sft",
        "What is learned: answers (sft) or plain text (pretrain).",
        label="Stage",
        basic=True,
        executable=RUNNABLE_STAGES,
    )
    tuner: TunerConfig = setting(TunerConfig, "Which weights are trained.", label="Method")
    training: TrainingConfig = setting(TrainingConfig, "How training proceeds.", label="Training")
    evaluation: EvaluationConfig = setting(EvaluationConfig, "What is measured at the end.", label="Evaluation")
    checkpoints: CheckpointConfig = setting(
        CheckpointConfig, "When the state of training is saved.", label="Checkpoints"
    )
    compute: ComputeConfig = setting(ComputeConfig, "Where the run works.", label="Compute")
    outputs: OutputConfig = setting(OutputConfig, "What the run leaves behind.", label="Results")

    def to_spec(self, owner: str = "") -> RunSpec:
        """The order that is sent to the controller."""
        place = {name: getattr(self.compute, name) for name in Placement.model_fields}
        job = TrainJob(
            model=self.model,
            data=self.data,
            stage=self.stage,
            tuner=self.tuner,
            training=self.training,
            evaluation=self.evaluation,
            checkpoints=self.checkpoints,
            outputs=self.outputs,
        )
        return RunSpec(
            name=self.name,
            project=self.project,
            owner=owner,
            tags=self.tags,
            job=job,
            compute=Placement(**place),
            priority=self.compute.priority,
            limits=self.compute.limits,
        )

    @classmethod
    def from_spec(cls, spec: RunSpec) -> RunConfig:
        """The config that gives this order again; the owner is not part of it."""
        job = spec.job
        if not isinstance(job, TrainJob):
            raise ValueError(f"a run of kind {spec.kind} has no training config")
        compute = ComputeConfig(**dict(spec.compute), priority=spec.priority, limits=spec.limits)
        return cls(
            name=spec.name,
            project=spec.project,
            tags=spec.tags,
            model=job.model,
            data=job.data,
            stage=job.stage,
            tuner=job.tuner,
            training=job.training,
            evaluation=job.evaluation,
            checkpoints=job.checkpoints,
            compute=compute,
            outputs=job.outputs,
        )

    def document(self) -> dict[str, Any]:
        """Plain data for YAML or JSON, every setting written out."""
        return self.model_dump(mode="json")


class AttemptOrder(Settings):
    """What a worker finds in its folder: the spec, and which start of the run this is."""

    protocol: int
    run: str
    attempt: int
    lease: str
    spec: RunSpec
    resume: list[ResumePoint] = []
    """Checkpoints to go on from, the best choice first; the first that is whole is taken. None: from the start."""
    resume_required: bool = False
    """A person chose the checkpoint: without it the attempt fails instead of starting over."""
    hubs: HubAccess = HubAccess()
    """How hubs are reached. Tokens do not stand here: they come in a file of their own."""
