"""An adapter that began by taking directions out of the base model, as a plain LoRA for the untouched base.

PiSSA and OLoRA split the base: W = R + s·B0·A0, and train B, A over the rest R. For the base as it is published the
change is s·(B·A - B0·A0), a LoRA of twice the rank: A' = [A; A0], B' = [B, -B0]. (PiSSA, arXiv 2404.02948, section 4.)
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from engine.compute.training.checkpoint import ADAPTER
from engine.contract.tuners import SPLITTING


def beginning(model: Any) -> dict[str, torch.Tensor]:
    """A copy of the adapter as it begins; empty where the base stayed as it was."""
    config = getattr(model, "peft_config", {}).get("default")
    if config is None or getattr(config, "init_lora_weights", None) not in SPLITTING:
        return {}
    return adapter_state(model)


def adapter_state(model: Any) -> dict[str, torch.Tensor]:
    """A copy of a LoRA's matrices, by the names peft saves them under."""
    return {name: tensor.detach().cpu().clone() for name, tensor in _state(model).items() if _factor(name)}


def write_plain(model: Any, began: dict[str, torch.Tensor], folder: Path) -> None:
    """Write the adapter for the base model as it was before training began."""
    tensors = dict[str, torch.Tensor]()
    for name, tensor in _state(model).items():
        now, then = tensor.detach().cpu(), began.get(name)
        if then is not None:
            now = torch.cat([now, then], dim=0) if _factor(name) == "A" else torch.cat([now, -then], dim=1)
        tensors[name] = now.contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(folder / ADAPTER), metadata={"format": "pt"})
    _twice(model.peft_config["default"]).save_pretrained(str(folder))


def _twice(config: Any) -> Any:
    """The same scaling at twice the rank."""
    from copy import deepcopy

    made = deepcopy(config)
    more = math.sqrt(2) if config.use_rslora else 2
    made.r, made.lora_alpha, made.init_lora_weights, made.inference_mode = (
        config.r * 2,
        config.lora_alpha * more,
        True,
        True,
    )
    made.corda_config = made.lora_ga_config = None
    made.rank_pattern = {name: rank * 2 for name, rank in config.rank_pattern.items()}
    made.alpha_pattern = {name: alpha * more for name, alpha in config.alpha_pattern.items()}
    return made


def _state(model: Any) -> dict[str, torch.Tensor]:
    from peft import get_peft_model_state_dict

    found: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return found


def _factor(name: str) -> str:
    return "A" if ".lora_A." in name else "B" if ".lora_B." in name else ""
