"""What of a run decides its memory, read off its settings: pure, for the estimate to reckon with."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.contract.compute import Placement
from engine.contract.members import WHOLLY, ZERO_STAGES
from engine.contract.model_shape import ModelShape
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.run_spec import TrainJob
from engine.contract.stages import keeps_copy, stage_of
from engine.contract.tuners import TUNERS

BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "8bit": 1.0, "4bit": 0.5625}
BYTES |= {"torchao_8bit": 1.0, "hqq_8bit": 1.0625, "hqq_4bit": 0.5625}
"""Of a number. 4 bit: half a byte and a scale of fp32 for 64 numbers (QLoRA, arXiv:2305.14314, section 3)."""


class Load(BaseModel):
    """What of a run decides its memory, as a worker would carry it out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    full: bool = False
    """All weights are trained; else an adapter is."""
    rank: int = 16
    targets: tuple[str, ...] = ("all-linear",)
    dropout: float = 0.0
    rows: int = 8
    """Of a micro batch."""
    width: int = 1024
    """Tokens of its longest row."""
    trained: float = 1.0
    """Share of tokens that are learned: only their logits are computed."""
    accumulation: int = 1
    checkpointing: bool = False
    attention: str = "auto"
    packing: str = "none"
    """Rows that share a sequence: each layer keeps a mask that tells them apart."""
    arithmetic: str = "fp32"
    weights: str = "fp32"
    """Number form the base model is held in."""
    quantisation: str = "none"
    optimiser: str = "adamw_torch_fused"
    directions: int = 0
    """Of each matrix, in which the optimiser works; 0: in all."""
    device: Literal["cpu", "cuda"] = "cpu"
    copies: int = 0
    """Frozen models beside the one that learns."""
    layers: int = 0
    """Of the model that learn at a time beside what is outside layers (LISA); 0: all."""
    blocks: int = 0
    """New ones that are put between them, which alone learn (LLaMA-Pro)."""
    init: str = "default"
    """What an adapter begins with."""
    virtual: int = 0
    """Learned tokens before every row."""
    prefix: bool = False
    """They stand in every layer's keys and values instead of in the row."""
    scores: bool = False
    """The model gives a number a row: no logits of tokens are computed."""
    entropies: bool = False
    """It is told how open each choice of a token was."""
    compared: bool = False
    """A teacher's logits lie beside the model's."""
    beside: int = 0
    """Bytes of other frozen models, such as a teacher."""

    members: int = 1
    """That add up their gradients."""
    parted: int = 1
    """Members that have a part each of weights, gradients and the optimiser's state."""
    zero: int = 0
    """DeepSpeed's stage: from 1 on the optimiser's state is parted among the members, from 2 on gradients too."""
    taught: int | None = None
    """Layers that learn, all others being frozen (freeze): the last ones, or as a negative number the first ones."""
    modules: tuple[str, ...] = ()
    """Named ones that learn beside those layers."""
    critic: bool = False
    """A line through the last hidden state learns beside the model (PPO)."""

    @property
    def sequence(self) -> int:
        """Tokens that attention looks over."""
        return self.width * (self.rows if self.packing == "padding_free" else 1)

    @property
    def tokens(self) -> int:
        """Of a micro batch, filling and virtual tokens included."""
        return self.rows * (self.width + self.virtual)


def load_of(
    job: TrainJob,
    device: Literal["cpu", "cuda"] = "cpu",
    width: int | None = None,
    trained: float | None = None,
    teacher: ModelShape | None = None,
    place: Placement = Placement(),
) -> Load:
    """What a worker makes of a job. Without a `width` rows are as long as they may be; a `teacher` counts if known.

    Of several members it is what one has: the whole model, and its share of the rows.

    Of a pair both answers count. Passes of the reference, of which nothing is kept, come before those that learn and
    are not counted: they are smaller.
    """
    training, tuner = job.training, TUNERS.get(job.tuner.kind, TUNERS["lora"])
    full, rank = tuner.whole_model, job.tuner.rank if "rank" in tuner.settings else 1
    arithmetic = training.precision
    if arithmetic == "auto":
        arithmetic = "bf16" if device == "cuda" else "fp32"
    optimizer = OPTIMIZERS[training.optimizer]
    directions = int(training.optimizer_options.get("rank", 128)) if optimizer.low_rank else 0
    virtual = job.tuner.virtual_tokens if tuner.virtual else 0
    stage = stage_of(job.stage)
    copied = keeps_copy(
        job.stage, job.reference_free, job.tuner.kind, job.tuner.init, job.objective.precompute_ref_log_probs
    )
    held = job.model.dtype if job.model.dtype != "auto" else "fp32" if full else arithmetic
    return Load(
        full=full, rank=rank, targets=() if tuner.virtual else tuple(job.tuner.targets), dropout=job.tuner.dropout,
        rows=rows_at_once(job, place.members), members=place.members,
        parted=place.members if place.strategy in WHOLLY else 1, zero=ZERO_STAGES.get(place.strategy, 0),
        width=_width(job, width), trained=1.0 if trained is None else trained,
        accumulation=training.accumulation * training.micro_batch_parts,
        packing=training.packing, checkpointing=training.gradient_checkpointing,
        attention=job.model.attention, arithmetic=arithmetic,
        weights=held, quantisation=job.quantisation, device=device, optimiser=optimizer.name,
        directions=directions,
        layers=job.tuner.layers if tuner.name == "lisa" else 0,
        blocks=job.tuner.blocks if "blocks" in tuner.settings else 0,
        taught=job.tuner.layers if tuner.name == "freeze" else None,
        modules=tuple(job.tuner.modules_to_save) if tuner.name == "freeze" else (),
        critic="value_coef" in stage.rollouts,
        virtual=virtual, prefix=tuner.name == "prefix_tuning",
        copies=int(copied), scores=stage.scores, compared=stage.teacher, entropies=stage.grouped,
        beside=_teacher_bytes(job, arithmetic, teacher) if stage.teacher else 0,
        init=job.tuner.init if "init" in tuner.settings else "default",
    )  # fmt: skip


def _width(job: TrainJob, width: int | None) -> int:
    """Tokens of the longest sequence: packed rows fill it up, whatever the longest of them is."""
    most = job.data.max_length
    return most if job.training.packing == "packed" else min(width or most, most)


def _teacher_bytes(job: TrainJob, arithmetic: str, shape: ModelShape | None) -> int:
    held = arithmetic if job.teacher.dtype == "auto" else job.teacher.dtype
    return 0 if shape is None else round(shape.parameters * BYTES[held])


def rows_at_once(job: TrainJob, members: int = 1) -> int:
    """Rows of tokens that pass through the model together; own answers can be parted one by one, pairs cannot."""
    size, parts = math.ceil(job.training.micro_batch_size / members), job.training.micro_batch_parts
    if stage_of(job.stage).grouped:
        return math.ceil(size * job.sequences / parts)
    return math.ceil(size / parts) * job.sequences
