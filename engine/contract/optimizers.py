"""Every optimiser by one declaration: its package, the device it needs, its memory, and its own options.

Names are those of transformers' `optim`, and `muon`. Left out: the layer-wise ones and LOMO, which step inside the
backward pass, where neither clipping nor a checkpoint between two steps is possible; the schedule-free ones, which
hold two sets of weights, of which a checkpoint at a moment of nobody's choosing would show the wrong one; GrokAdamW,
with which a resumed run was another run where it was tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.options import Option, Value, check_given

OptimizerName = Literal[
    "adamw_torch_fused", "adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop", "muon", "adamw_torch_8bit",
    "adamw_torch_4bit", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit", "ademamix", "ademamix_8bit",
    "lion_32bit", "lion_8bit", "paged_lion_8bit", "rmsprop_bnb_8bit", "galore_adamw", "galore_adafactor",
    "apollo_adamw", "stable_adamw",
]  # fmt: skip


def _number(default: float) -> Option:
    return {"type": "float", "default": default}


def _whole(default: int) -> Option:
    return {"type": "int", "default": default}


def _one_of(*choices: str) -> Option:
    return {"type": "str", "default": choices[0], "choices": list(choices)}


def _switch(default: bool) -> Option:
    return {"type": "bool", "default": default}


ADAM = {"beta1": _number(0.9), "beta2": _number(0.999), "eps": _number(1e-8)}
LION = {"beta1": _number(0.9), "beta2": _number(0.999)}
MIX = {
    **ADAM, "beta3": _number(0.9999), "alpha": _number(5.0), "t_alpha": _whole(0), "t_beta3": _whole(0),
}  # fmt: skip
GALORE = {
    "rank": _whole(128), "update_proj_gap": _whole(200), "scale": _number(0.25),
    "proj_type": _one_of("std", "reverse_std", "left", "right", "full"),
}  # fmt: skip
APOLLO = {
    **ADAM, "rank": _whole(128), "update_proj_gap": _whole(200), "scale": _number(1.0),
    "proj": _one_of("random", "svd"), "scale_type": _one_of("channel", "tensor"),
    "proj_type": _one_of("std", "reverse_std", "left", "right"),
}  # fmt: skip
SGD = {"momentum": _number(0.0), "dampening": _number(0.0), "nesterov": _switch(False)}
RMS = {"momentum": _number(0.0), "alpha": _number(0.99), "eps": _number(1e-8), "centered": _switch(False)}
MUON = {
    "momentum": _number(0.95), "nesterov": _switch(True), "ns_steps": _whole(5),
    "scale": _one_of("match_rms_adamw", "original"), **ADAM,
}  # fmt: skip


@dataclass(frozen=True)
class Optimizer:
    """A way in which weights follow their gradients."""

    name: str
    state: float
    """Bytes it keeps of a trained number."""
    options: Mapping[str, Option] = field(default_factory=dict)
    package: str = ""
    """What has to be importable; empty: comes with torch or transformers."""
    install: str = ""
    """What pip calls that package."""
    cuda: bool = False
    """Only on NVIDIA GPUs."""
    low_rank: bool = False
    """It works in a few directions of each matrix of the model, and is of no use for an adapter."""


def _bitsandbytes(name: str, state: float, options: Mapping[str, Option]) -> Optimizer:
    return Optimizer(name, state, options, "bitsandbytes", "bitsandbytes", cuda=True)


_ALL = (
    Optimizer("adamw_torch_fused", 8.0, ADAM),
    Optimizer("adamw_torch", 8.0, ADAM),
    Optimizer("adafactor", 0.05),
    Optimizer("sgd", 0.0, SGD),
    Optimizer("adagrad", 4.0, {"lr_decay": _number(0.0), "eps": _number(1e-10)}),
    Optimizer("rmsprop", 4.0, RMS),
    Optimizer("muon", 4.0, MUON),
    Optimizer("adamw_torch_8bit", 2.1, ADAM, "torchao", "torchao"),
    Optimizer("adamw_torch_4bit", 1.1, ADAM, "torchao", "torchao"),
    _bitsandbytes("adamw_8bit", 2.1, ADAM),
    _bitsandbytes("paged_adamw_32bit", 8.0, ADAM),
    _bitsandbytes("paged_adamw_8bit", 2.1, ADAM),
    _bitsandbytes("ademamix", 12.0, MIX),
    _bitsandbytes("ademamix_8bit", 3.2, MIX),
    _bitsandbytes("lion_32bit", 4.0, LION),
    _bitsandbytes("lion_8bit", 1.1, LION),
    _bitsandbytes("paged_lion_8bit", 1.1, LION),
    _bitsandbytes("rmsprop_bnb_8bit", 1.1, {"momentum": _number(0.0), "alpha": _number(0.99), "eps": _number(1e-8)}),
    Optimizer("galore_adamw", 8.0, GALORE, "galore_torch", "galore-torch", low_rank=True),
    Optimizer("galore_adafactor", 0.5, GALORE, "galore_torch", "galore-torch", low_rank=True),
    Optimizer("apollo_adamw", 8.0, APOLLO, "apollo_torch", "apollo-torch", low_rank=True),
    Optimizer("stable_adamw", 8.0, {**ADAM, "max_lr": _number(0.0)}, "optimi", "torch-optimi"),
)
OPTIMIZERS = {one.name: one for one in _ALL}


_ADAMS = ("adamw_8bit", "adamw_torch_8bit")
EIGHT_BIT: dict[str, tuple[str, ...]] = {
    "adamw_torch_fused": _ADAMS, "adamw_torch": _ADAMS, "paged_adamw_32bit": ("paged_adamw_8bit",),
    "lion_32bit": ("lion_8bit",), "ademamix": ("ademamix_8bit",),
}  # fmt: skip
"""The same optimisers with their state in 8 bits, the first that can be had being the choice."""


def in_eight_bits(name: str, able: Collection[str]) -> str:
    """What an optimiser can be replaced by of those that run there; empty: by nothing."""
    return next((one for one in EIGHT_BIT.get(name, ()) if one in able), "")


def needed_package(name: str) -> tuple[str, str] | None:
    """What an optimiser imports and what pip calls it; None where nothing more is needed."""
    found = OPTIMIZERS.get(name)
    return (found.package, found.install) if found is not None and found.package else None


def contradictions(training: Mapping[str, Any], tuner: Mapping[str, Any], whole_model: bool) -> Iterator[Problem]:
    """What does not go together of the optimiser, its options and what is trained; nothing need be valid as a whole."""
    optimizer = OPTIMIZERS.get(str(training.get("optimizer", "adamw_torch_fused")))
    if optimizer is None:
        return
    where = "training.optimizer"
    if optimizer.low_rank and not whole_model:
        yield Problem(code="config.low_rank_adapter", field=where, params={"optimizer": optimizer.name})
    if tuner.get("plus_ratio") is not None and (optimizer.low_rank or optimizer.name == "muon"):
        yield Problem(code="config.plus_with_optimizer", field=where, params={"optimizer": optimizer.name})
    given = training.get("optimizer_options")
    if isinstance(given, Mapping):
        options: dict[str, Value] = {str(key): value for key, value in given.items()}
        yield from check_given(optimizer.name, options, optimizer.options, "training.optimizer_options")
        nesterov = options.get("nesterov") is True and not options.get("momentum") and optimizer.name == "sgd"
        if nesterov:
            yield Problem(code="config.nesterov_alone", field="training.optimizer_options.nesterov")
