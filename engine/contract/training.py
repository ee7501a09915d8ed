"""How training proceeds: length, batch, learning rate, precision, validation, saving."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from engine.contract.data import DataSource
from engine.contract.optimizers import OptimizerName
from engine.contract.packing import Packing
from engine.contract.push import PushConfig
from engine.contract.setting import Settings, setting

Schedule = Literal["constant", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt", "wsd"]


def _when(value: object) -> object:
    """It was a switch once."""
    return {True: "always", False: "never"}[value] if isinstance(value, bool) else value


class TrainingConfig(Settings):
    """The recipe."""

    epochs: float = setting(
        1.0, "How often each training row is seen.", label="Epochs", basic=True, ge=0, le=10000, usual=(0.1, 20)
    )
    max_steps: int | None = setting(
        None, "Stop after so many optimiser steps, whatever the epochs say.", label="Maximum steps", unit="steps", ge=1
    )
    micro_batch_size: int = setting(
        8,
        "Rows that pass through the model at once; lower it when memory is short.",
        label="Micro batch size",
        unit="rows",
        basic=True,
        ge=1,
        le=65536,
    )
    accumulation: int = setting(
        1, "Micro batches gathered into one optimiser step.", label="Accumulation", basic=True, ge=1, le=65536
    )
    micro_batch_parts: int = setting(
        1,
        "Parts in which a micro batch passes through the model: less memory, a little slower, the same mathematics.",
        label="Micro batch in parts",
        ge=1,
        le=65536,
    )
    learning_rate: float = setting(
        2e-4,
        "Size of the optimiser's steps at its peak.",
        label="Learning rate",
        basic=True,
        gt=0,
        le=10,
        usual=(1e-6, 2e-3),
    )
    optimizer: OptimizerName = setting(
        "adamw_torch_fused",
        "How weights follow their gradients; some need a package in the worker's environment, or a GPU.",
        label="Optimiser",
    )
    optimizer_options: dict[str, bool | int | float | str] = setting(
        dict, "More options of the optimiser, by their usual names.", label="Options of the optimiser", max_length=32
    )
    schedule: Schedule = setting("cosine", "How the learning rate falls after the warm-up.", label="Schedule")
    schedule_floor: float = setting(
        0.0,
        "Share of the learning rate at which it stops falling; used by cosine, polynomial and warm-up-stable-decay.",
        label="Lowest rate",
        ge=0,
        lt=1,
    )
    schedule_decay: float = setting(
        0.2,
        "With warm-up-stable-decay: share of the steps, at the end, over which the rate falls.",
        label="Falling share",
        gt=0,
        le=1,
    )
    schedule_cycles: int = setting(
        1, "With restarts: how often the rate falls and begins anew.", label="Cycles", ge=1, le=1000
    )
    warmup_share: float = setting(
        0.03, "Share of the steps over which the learning rate rises from zero.", label="Warm-up", ge=0, le=1
    )
    weight_decay: float = setting(0.0, "Pull of the weights towards zero.", label="Weight decay", ge=0, le=10)
    max_grad_norm: float = setting(
        1.0, "Gradients longer than this are shortened to it; 0 leaves them alone.", label="Gradient clipping", ge=0
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", "Number format of the arithmetic; auto takes the fastest safe one and says which.", label="Precision"
    )
    gradient_checkpointing: bool = setting(
        False, "Recompute activations in the backward pass: less memory, slower.", label="Gradient checkpointing"
    )
    compile: bool = setting(
        False,
        "Let torch compile the model's layers: quicker steps after a slow beginning; where there is no compiler the "
        "run goes on without and says why.",
        label="Compile layers",
    )
    liger: bool = setting(
        False,
        "Use Liger's kernels in the model's layers: less memory, quicker; needs an NVIDIA GPU and liger-kernel in the "
        "worker's environment.",
        label="Liger kernels",
    )
    sequence_parallel: int = setting(
        1, "Devices that share each row's tokens, for rows too long for one.", label="Devices a row", ge=1, le=64
    )
    memory_probe: Annotated[Literal["auto", "always", "never"], BeforeValidator(_when)] = setting(
        "auto",
        "Measure the memory of the longest batch before the first step, so that a lack of it shows at once; auto: "
        "before it only where memory may be short, else in the second step, which costs no time.",
        label="Measure memory first",
    )
    assistant_only_loss: bool = setting(
        True, "Learn only what the assistant says, not the questions.", label="Learn answers only"
    )
    group_by_length: bool = setting(
        True, "Put rows of like length into a batch, so that little is padded.", label="Group rows by length"
    )
    packing: Packing = setting(
        "none",
        "Rows that share a sequence and do not see each other: packed fills sequences up to the longest row allowed, "
        "and a micro batch counts them; padding_free puts the rows of a micro batch one behind the other.",
        label="Rows in one sequence",
    )
    seed: int = setting(
        42, "Start of all chance in the run: same seed, same batches.", label="Seed", ge=0, le=2**32 - 1
    )
    log_every: int = setting(1, "Steps between two points of the curve.", label="Log every", unit="steps", ge=1)
    validate_every: int | None = setting(
        None,
        "Steps between two measurements on the validation rows; empty: at the end.",
        label="Validate every",
        unit="steps",
        ge=1,
    )
    threads: int | None = setting(
        None, "Processor threads of the worker; empty: all cores.", label="Threads", ge=1, le=1024
    )


class EvaluationConfig(Settings):
    """What is measured once training is over."""

    data: list[DataSource] = setting(
        list, "Held-out rows whose answers are compared with the expected ones.", label="Held-out rows", max_length=16
    )
    before: bool = setting(
        True, "Also measure the model before training, to show what was gained.", label="Measure before too"
    )
    max_new_tokens: int = setting(
        64, "Longest answer the model may write.", label="Longest answer", unit="tokens", ge=1, le=8192
    )
    samples: int = setting(3, "Answers shown in full, before and after.", label="Sample answers", ge=0, le=100)


class OutputConfig(Settings):
    """What a run leaves behind."""

    adapter: bool = setting(
        True,
        "Save the adapter (or the whole model, when all weights are trained).",
        label="Save the result",
        executable=(True,),
    )
    merged: bool = setting(
        False, "Also save base and adapter merged into one model.", label="Save merged model", executable=(False,)
    )
    push: PushConfig = setting(PushConfig, "Put the result on a hub when the run is over.", label="Push at the end")
