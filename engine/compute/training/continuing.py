"""A run that goes on with an adapter that was trained before: its matrices in place of fresh ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from engine.contract.adapter_start import CONFIG, WEIGHTS, differences, read_adapter
from engine.contract.errors import Refused, UserError
from engine.contract.paths import expanded
from engine.contract.tuner import TunerConfig

SHOWN = 3


def go_on_with(model: Any, tuner: TunerConfig) -> Any:
    """The model, its fresh adapter overwritten by the one in `tuner.adapter`; refused whole where it does not fit."""
    if not tuner.adapter:
        return model
    folder = expanded(tuner.adapter)
    try:
        found = read_adapter(folder)
    except (OSError, ValueError) as error:
        raise _broken(folder, error) from error
    problems = list(differences(found, tuner.model_dump(mode="json")))
    if problems:
        raise Refused("config.refused", problems=problems, count=len(problems))
    tensors = _read(folder)
    _check(folder, tensors, model, str(found.get("base_model_name_or_path") or "?"))
    from peft import set_peft_model_state_dict

    try:
        set_peft_model_state_dict(model, tensors)
    except (RuntimeError, ValueError, KeyError) as error:
        raise _broken(folder, error) from error
    return model


def began_with(model: Any) -> dict[str, torch.Tensor]:
    """A copy of all that learns, by name: what an adapter was before this run."""
    return {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}


def _read(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    try:
        tensors: dict[str, torch.Tensor] = load_file(str(folder / WEIGHTS))
    except (OSError, SafetensorError, ValueError) as error:
        raise _broken(folder, error) from error
    spoilt = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if spoilt:
        raise _broken(folder, ValueError(f"{spoilt[0]} holds numbers that are none (NaN or infinite)"))
    return tensors


def _check(folder: Path, tensors: dict[str, torch.Tensor], model: Any, base: str) -> None:
    from peft import get_peft_model_state_dict

    expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    wrong = [f"it has nothing for {name}" for name in expected.keys() - tensors.keys()]
    wrong += [f"the model has no {name}" for name in tensors.keys() - expected.keys()]
    for name in expected.keys() & tensors.keys():
        ours, theirs = tuple(expected[name].shape), tuple(tensors[name].shape)
        if ours != theirs:
            wrong.append(f"{name} is {' × '.join(map(str, theirs))}, and {' × '.join(map(str, ours))} here")
    if wrong:
        more = f", and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
        detail = "; ".join(sorted(wrong)[:SHOWN]) + more
        raise UserError("tuner.adapter_other_base", path=str(folder), detail=detail, base=base)


def _broken(folder: Path, error: Exception) -> UserError:
    return UserError("tuner.adapter_broken", path=str(folder), detail=str(error)[:300] or CONFIG)
