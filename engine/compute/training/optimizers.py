"""The optimiser and the schedule of a recipe, in transformers' words; Muon, which transformers does not know; and what
an optimiser remembers, as plain tensors and numbers."""

from __future__ import annotations

import importlib
import importlib.util
import math
from typing import Any

import torch

from engine.compute.training.kernels import why_not_compiled
from engine.contract.errors import UserError
from engine.contract.optimizers import EIGHT_BIT, OPTIMIZERS, Optimizer
from engine.contract.training import TrainingConfig

IN_TRANSFORMERS = {"beta1": "adam_beta1", "beta2": "adam_beta2", "eps": "adam_epsilon"}
"""Options that are arguments of the trainer's own."""
PROJECTORS = frozenset(
    (
        "galore_torch.galore_projector:GaLoreProjector",
        "apollo_torch.svd_projector:GaLoreProjector",
        "apollo_torch.random_projector:GradientProjector",
    )
)
"""Objects that two optimisers keep among their tensors: numbers, texts and one tensor each."""
MARK = "forge_projector"


def check_optimizer(config: TrainingConfig, device: torch.device) -> None:
    """Refuse an optimiser whose package or device is not there; raises UserError."""
    chosen, field = OPTIMIZERS[config.optimizer], "training.optimizer"
    if chosen.package and importlib.util.find_spec(chosen.package) is None:
        install = chosen.install
        raise UserError("package.missing", used_for=chosen.name, package=chosen.package, install=install, field=field)
    if chosen.cuda and device.type != "cuda":
        raise UserError("package.needs_cuda", used_for=chosen.name, field=field)


def eight_bit_here(name: str, device: torch.device) -> list[str]:
    """Optimisers that an optimiser can be replaced by, with a state of 8 bits, whose package and device are there."""
    found = [one for one in EIGHT_BIT.get(name, ()) if _can_be_had(OPTIMIZERS[one], device)]
    compiled = [one for one in found if OPTIMIZERS[one].package == "torchao"]
    if compiled and why_not_compiled(device):  # its steps are compiled
        found = [one for one in found if one not in compiled]
    return found


def _can_be_had(chosen: Optimizer, device: torch.device) -> bool:
    return importlib.util.find_spec(chosen.package) is not None and (not chosen.cuda or device.type == "cuda")


def optimizer_arguments(config: TrainingConfig) -> dict[str, Any]:
    """Of `TrainingArguments`."""
    if config.optimizer == "muon":
        return {}
    options, chosen = dict(config.optimizer_options), OPTIMIZERS[config.optimizer]
    found: dict[str, Any] = {"optim": config.optimizer}
    if "beta3" not in chosen.options:  # that one reads all of them from its own list
        found |= {name: options.pop(ours) for ours, name in IN_TRANSFORMERS.items() if ours in options}
    if config.optimizer in ("adagrad", "rmsprop") and "adam_epsilon" in found:
        options["eps"] = found.pop("adam_epsilon")
    if options:
        found["optim_args"] = ",".join(f"{name}={value}" for name, value in options.items())
    if chosen.low_rank:
        found["optim_target_modules"] = "all-linear"
    return found


def schedule_arguments(config: TrainingConfig, steps: int) -> dict[str, Any]:
    """Of `TrainingArguments`."""
    floor = config.schedule_floor
    match config.schedule:
        case "constant":
            return {"lr_scheduler_type": "constant_with_warmup"}
        case "cosine" if floor:
            return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": floor}}
        case "cosine_with_restarts":
            return {"lr_scheduler_type": config.schedule, "lr_scheduler_kwargs": {"num_cycles": config.schedule_cycles}}
        case "polynomial":
            more = {"lr_end": floor * config.learning_rate, "power": 2.0}
            return {"lr_scheduler_type": config.schedule, "lr_scheduler_kwargs": more}
        case "wsd":
            falling = min(math.ceil(config.schedule_decay * steps), steps - math.ceil(config.warmup_share * steps))
            more = {"num_decay_steps": max(1, falling), "min_lr_ratio": floor}
            return {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": more}
    return {"lr_scheduler_type": config.schedule}


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Muon for matrices inside the model, AdamW for embeddings, the head, norms and biases (Jordan et al. 2024).

    Both are torch's own; they share this object's groups and state, so that it is saved and loaded like any other.
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float, options: dict[str, Any]) -> None:
        given = {name: option["default"] for name, option in OPTIMIZERS["muon"].options.items()} | options
        adam = {"lr": rate, "betas": (given["beta1"], given["beta2"]), "eps": given["eps"]}
        steps = {"momentum": given["momentum"], "nesterov": given["nesterov"], "ns_steps": given["ns_steps"]}
        kinds = [bool(group.pop("matrices")) for group in groups]
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon([group], lr=rate, adjust_lr_fn=given["scale"], **steps)
            if matrices else torch.optim.AdamW([group], **adam)
            for group, matrices in zip(groups, kinds, strict=True)
        ]  # fmt: skip
        super().__init__([part.param_groups[0] for part in self._parts], {})
        self._share()

    def _share(self) -> None:
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Called by torch when saved groups and state take the place of these."""
        super().__setstate__(state)
        self._share()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> Any:
        """One step of both."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for part in self._parts:
            part.step()
        return loss


def make_muon(model: Any, config: TrainingConfig) -> Muon:
    """Muon for a model's trained weights."""
    around = {model.get_input_embeddings(), model.get_output_embeddings()}
    outside = {id(weight) for module in around if module is not None for weight in module.parameters()}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in outside]
    inner = {id(weight) for weight in matrices}
    others = [weight for weight in trained if id(weight) not in inner]
    groups = [
        {"params": weights, "weight_decay": decay, "matrices": kind}
        for weights, decay, kind in ((matrices, config.weight_decay, True), (others, 0.0, False))
        if weights
    ]
    return Muon(groups, config.learning_rate, dict(config.optimizer_options))


def plain_state(state: dict[str, Any]) -> dict[str, Any]:
    """What `Optimizer.state_dict` gave, without objects that only pickle could bring back."""
    return {**state, "state": {key: _plain(values) for key, values in state["state"].items()}}


def _plain(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {
        name: {MARK: _origin(value), **vars(value)} if _origin(value) in PROJECTORS else value
        for name, value in values.items()
    }


def _origin(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__name__}"


def whole_state(state: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `plain_state`."""
    return {**state, "state": {key: _whole(values) for key, values in state["state"].items()}}


def _whole(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {
        name: _projector(value) if isinstance(value, dict) and MARK in value else value
        for name, value in values.items()
    }


def _projector(values: dict[str, Any]) -> Any:
    if values[MARK] not in PROJECTORS:
        raise ValueError(f"nothing that an optimiser keeps: {values[MARK]}")
    module, _, name = str(values[MARK]).partition(":")
    kind = getattr(importlib.import_module(module), name)
    made = kind.__new__(kind)
    vars(made).update({name: value for name, value in values.items() if name != MARK})
    return made
