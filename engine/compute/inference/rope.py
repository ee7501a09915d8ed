"""A model whose config says something else than its files: stretched positions for longer rows, and single values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.contract.acceleration import STRETCHED, check_rope, stretched
from engine.contract.errors import Refused, UserError
from engine.contract.extra import check_model
from engine.contract.model import ModelConfig
from engine.contract.options import Value

BASE_CONFIG = "base_config.json"
"""Beside an adapter: what of the base model's config it was trained with."""


def changes(folder: Path, model: ModelConfig, longest: int | None = None) -> dict[str, Any]:
    """What of the model's config is to be other; raises UserError where that cannot be."""
    if model.rope not in STRETCHED:
        return {}
    given = (model.rope, model.rope_factor, model.rope_original)
    for problem in check_rope(folder, *given, longest):
        raise UserError(problem.code, **problem.params)
    config = json.loads((folder / "config.json").read_bytes())
    found = stretched(config.get("text_config") or config, *given)
    assert found is not None
    return found


def extra_values(folder: Path, given: Mapping[str, Value]) -> dict[str, Any]:
    """Other values of the model's config, by their names there; raises UserError for one it does not have."""
    if not given:
        return {}
    text = changed_config(folder, {}).get_text_config()
    problems = list(check_model(str(text.model_type), text.to_dict(), given))
    if len(problems) == 1:
        raise UserError(problems[0].code, **problems[0].params)
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)
    return dict(given)


def changed_config(folder: Path, changed: dict[str, Any], **more: Any) -> Any:
    """The model's config with these changes, to load it by."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **more)
    text = config.get_text_config()
    for name, value in changed.items():
        setattr(text, name, value)
    return config


def without_memory(model: torch.nn.Module) -> None:
    """Dynamic positions go by the rows at hand alone: transformers goes on with those of the longest rows before them,
    and a run that is resumed would not."""
    for module in model.modules():
        if getattr(module, "rope_type", None) == "dynamic" and hasattr(module, "original_inv_freq"):
            module.register_forward_pre_hook(_forget)


def _forget(module: Any, _given: Any) -> None:
    module.max_seq_len_cached = module.original_max_seq_len
    module.register_buffer("inv_freq", module.original_inv_freq.to(module.inv_freq.device), persistent=False)


def write_base(folder: Path, changed: dict[str, Any]) -> None:
    """Say beside an adapter what it needs of its base model's config."""
    if changed:
        (folder / BASE_CONFIG).write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")
