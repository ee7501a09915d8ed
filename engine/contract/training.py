"""How training proceeds: length, batch, learning rate, precision, validation, saving."""

from typing import Literal

from engine.contract.data import DataSource
from engine.contract.setting import Settings, setting


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
    learning_rate: float = setting(
        2e-4,
        "Size of the optimiser's steps at its peak.",
        label="Learning rate",
        basic=True,
        gt=0,
        le=10,
        usual=(1e-6, 2e-3),
    )
    schedule: Literal["constant", "linear", "cosine"] = setting(
        "cosine", "How the learning rate falls after the warm-up.", label="Schedule"
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
    assistant_only_loss: bool = setting(
        True, "Learn only what the assistant says, not the questions.", label="Learn answers only"
    )
    group_by_length: bool = setting(
        True, "Put rows of like length into a batch, so that little is padded.", label="Group rows by length"
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
