"""Which weights are trained: an adapter beside frozen weights, or all of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import torch

from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig


def linear_names(model: torch.nn.Module) -> list[str]:
    """Last parts of the names of the model's linear modules, without the output head."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    names = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if module is not head and (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D")
    }
    return sorted(names)


def check_targets(wanted: Iterable[str], model: torch.nn.Module) -> str | list[str]:
    """Target modules in peft's form; a name the model does not have is refused with the nearest ones."""
    targets = list(wanted)
    if targets == ["all-linear"]:
        return "all-linear"
    known = linear_names(model)
    paths = [name for name, _ in model.named_modules()]
    for target in targets:
        if target == "all-linear":
            raise UserError("config.targets_mixed")
        if not any(path == target or path.endswith("." + target) for path in paths):
            near = difflib.get_close_matches(target, known, n=3, cutoff=0.3) or known[:3]
            raise UserError("config.target_unknown", target=target, near=", ".join(near), known=", ".join(known))
    return targets


def _lora(model: Any, config: TunerConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=check_targets(config.targets, model),
        use_rslora=config.rslora,
        bias="none",
    )
    try:
        return get_peft_model(model, settings)
    except ValueError as error:
        raise UserError("config.target_unsupported", detail=str(error)[:500]) from error


def _full(model: Any, config: TunerConfig) -> Any:
    del config
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return model


TUNERS: dict[str, Callable[[Any, TunerConfig], Any]] = {"lora": _lora, "full": _full}


def apply_tuner(model: Any, config: TunerConfig) -> Any:
    """The model made ready for training."""
    return TUNERS[config.kind](model, config)


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """All parameters and those that are trained."""
    everything = sum(parameter.numel() for parameter in model.parameters())
    return everything, sum(p.numel() for p in model.parameters() if p.requires_grad)
