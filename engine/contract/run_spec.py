"""What a run is asked to do: the envelope every kind shares, and the job inside it.

`RunSpec` is what travels and is stored. `RunConfig` is the same content as people write it in YAML for a
training run, in one flat document; `to_spec` and `from_spec` turn one into the other without loss.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.contract.calibration import Calibration
from engine.contract.checkpoints import CheckpointConfig, ResumePoint
from engine.contract.compute import ComputeConfig, Limits, Placement
from engine.contract.data import DataConfig
from engine.contract.datasets import ImportJob
from engine.contract.extra import ExtraConfig
from engine.contract.forensics import ForensicsConfig
from engine.contract.guards import GuardsConfig
from engine.contract.heads import HeadConfig
from engine.contract.held_adapters import AdapterChanges
from engine.contract.hubs import HubAccess
from engine.contract.model import ModelConfig
from engine.contract.objective import ObjectiveConfig
from engine.contract.rollouts import RolloutConfig
from engine.contract.sampling import SampleJob
from engine.contract.scratch import HUB, ScratchConfig
from engine.contract.serving import ServeJob, ServeKey
from engine.contract.setting import Settings, setting
from engine.contract.stages import RUNNABLE_STAGES, StageName, stage_of
from engine.contract.states import Lane
from engine.contract.stopping import StoppingConfig
from engine.contract.teacher import TeacherConfig
from engine.contract.training import EvaluationConfig, OutputConfig, TrainingConfig
from engine.contract.tuner import TunerConfig
from engine.contract.tuners import Quantisation, quantisation_of
from engine.contract.watching import WatchingConfig

CONFIG_VERSION = 1
NAME_PATTERN = r"^[^\x00-\x1f/\\]+$"


class TrainJob(Settings):
    """Fine-tune or pretrain a model."""

    kind: Literal["train"] = "train"
    model: ModelConfig
    scratch: ScratchConfig = ScratchConfig()
    data: DataConfig
    stage: StageName = "sft"
    objective: ObjectiveConfig = ObjectiveConfig()
    head: HeadConfig = HeadConfig()
    rollouts: RolloutConfig = RolloutConfig()
    teacher: TeacherConfig = TeacherConfig()
    tuner: TunerConfig = TunerConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    guards: GuardsConfig = GuardsConfig()
    stopping: StoppingConfig = StoppingConfig()
    watching: WatchingConfig = WatchingConfig()
    forensics: ForensicsConfig = ForensicsConfig()
    extra: ExtraConfig = ExtraConfig()
    outputs: OutputConfig = OutputConfig()

    @property
    def from_scratch(self) -> bool:
        """The model is made by the run."""
        return self.model.hub == HUB

    @property
    def quantisation(self) -> Quantisation:
        """How the base weights are held."""
        return quantisation_of(self.tuner.kind, self.model.quantisation)

    @property
    def reference_free(self) -> bool:
        """No base model is asked, where the stage can do without."""
        return self.rollouts.beta == 0 if "beta" in stage_of(self.stage).rollouts else self.objective.reference_free

    @property
    def asks_beforehand(self) -> bool:
        """The reference is asked about all rows before the first step."""
        takes = "precompute_ref_log_probs" in stage_of(self.stage).settings
        return takes and self.objective.precompute_ref_log_probs and not self.reference_free

    @property
    def sequences(self) -> int:
        """Rows of tokens that pass through the model with gradients for a row of the dataset."""
        stage = stage_of(self.stage)
        return self.rollouts.answers if stage.grouped else stage.sequences

    @property
    def iterations(self) -> int:
        """Steps on the same rows."""
        return self.rollouts.iterations if "iterations" in stage_of(self.stage).rollouts else 1

    @property
    def lane(self) -> Lane:
        """Training waits for a device."""
        return Lane.GPU


class LaterJob(Settings):
    """A kind that has its name already and is refused by that name until it can run."""

    kind: Literal["evaluate", "export", "study"]

    @property
    def lane(self) -> Lane:
        """Where it would wait."""
        return Lane.CPU if self.kind == "export" else Lane.GPU


Job = Annotated[TrainJob | ImportJob | SampleJob | ServeJob | LaterJob, Field(discriminator="kind")]


class RunSpec(Settings):
    """A whole order for a run, of any kind."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    project: str = Field(default="default", min_length=1, max_length=120, pattern=NAME_PATTERN)
    owner: str = Field(default="", max_length=120)
    compute: Placement = Placement()
    priority: int = Field(default=0, ge=-100, le=100)
    limits: Limits = Limits()
    tags: list[str] = Field(default_factory=list, max_length=50)
    job: Job

    @property
    def kind(self) -> str:
        """What sort of run it is."""
        return self.job.kind

    @property
    def lane(self) -> Lane:
        """The queue it waits in; an instance on the processor stands beside training, and keeps nobody waiting."""
        return Lane.LIGHT if isinstance(self.job, ServeJob) and self.compute.gpus == 0 else self.job.lane

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
    scratch: ScratchConfig = setting(
        ScratchConfig, "The form of a model that begins with fresh weights, and its tokenizer.", label="From scratch"
    )
    data: DataConfig = setting(..., "Training and validation rows.", label="Dataset")
    stage: StageName = setting(
        "sft",
        "What is learned: answers (sft), plain text (pretrain), which of two answers is better (dpo, orpo, cpo, simpo, "
        "reward), from answers called good or bad (kto), from rewards for its own answers (grpo, rloo, "
        "online_dpo, ppo), from a larger model (gkd), or classes, vectors or an order of texts.",
        label="Stage",
        basic=True,
        executable=RUNNABLE_STAGES,
    )
    objective: ObjectiveConfig = setting(ObjectiveConfig, "The loss of the stage.", label="Objective")
    head: HeadConfig = setting(HeadConfig, "What a model gives that writes no text.", label="Classes, vectors, scores")
    rollouts: RolloutConfig = setting(
        RolloutConfig, "Rewards and sampling, for stages that learn from their own answers.", label="Own answers"
    )
    teacher: TeacherConfig = setting(
        TeacherConfig, "The model that is learned from, for the stage gkd.", label="Teacher"
    )
    tuner: TunerConfig = setting(TunerConfig, "Which weights are trained.", label="Method")
    training: TrainingConfig = setting(TrainingConfig, "How training proceeds.", label="Training")
    evaluation: EvaluationConfig = setting(EvaluationConfig, "What is measured at the end.", label="Evaluation")
    checkpoints: CheckpointConfig = setting(
        CheckpointConfig, "When the state of training is saved.", label="Checkpoints"
    )
    guards: GuardsConfig = setting(GuardsConfig, "What is watched, and what is done about it.", label="Guards")
    stopping: StoppingConfig = setting(StoppingConfig, "Early stop, and which state is the result.", label="Early stop")
    watching: WatchingConfig = setting(
        WatchingConfig, "What is shown while it trains, and where its figures go.", label="While it trains"
    )
    forensics: ForensicsConfig = setting(
        ForensicsConfig, "What is kept for a look inside the curve.", label="Forensics"
    )
    compute: ComputeConfig = setting(ComputeConfig, "Where the run works.", label="Compute")
    extra: ExtraConfig = setting(
        ExtraConfig, "Variables of the worker, and arguments no setting is made for.", label="Extra"
    )
    outputs: OutputConfig = setting(OutputConfig, "What the run leaves behind.", label="Results")

    @property
    def iterations(self) -> int:
        """Steps on the same rows."""
        return self.rollouts.iterations if "iterations" in stage_of(self.stage).rollouts else 1

    def to_spec(self, owner: str = "") -> RunSpec:
        """The order that is sent to the controller."""
        place = {name: getattr(self.compute, name) for name in Placement.model_fields}
        job = TrainJob(
            model=self.model,
            scratch=self.scratch,
            data=self.data,
            stage=self.stage,
            objective=self.objective,
            head=self.head,
            rollouts=self.rollouts,
            teacher=self.teacher,
            tuner=self.tuner,
            training=self.training,
            evaluation=self.evaluation,
            checkpoints=self.checkpoints,
            guards=self.guards,
            stopping=self.stopping,
            watching=self.watching,
            forensics=self.forensics,
            extra=self.extra,
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
            scratch=job.scratch,
            data=job.data,
            stage=job.stage,
            objective=job.objective,
            head=job.head,
            rollouts=job.rollouts,
            teacher=job.teacher,
            tuner=job.tuner,
            training=job.training,
            evaluation=job.evaluation,
            checkpoints=job.checkpoints,
            guards=job.guards,
            stopping=job.stopping,
            watching=job.watching,
            forensics=job.forensics,
            extra=job.extra,
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
    memory: Calibration | None = None
    """What earlier runs like it tell of the memory it will take."""
    price: float | None = None
    """What an hour of this attempt costs, where that is known."""
    cost_before: float = 0.0
    """What the attempts before it cost."""
    keys: list[ServeKey] = []
    """Who may ask an instance; keys themselves stand nowhere."""
    adapters: AdapterChanges = AdapterChanges()
    """What people made of an instance's adapters while it served before."""
    hubs: HubAccess = HubAccess()
    """How hubs are reached. Tokens do not stand here: they come in a file of their own."""
