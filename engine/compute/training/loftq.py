"""LoftQ: the adapter begins as what 4 bits took from the weights (arXiv 2310.08659, one iteration).

The base weights stay as they were quantised, so that the result fits any copy held in the same 4 bits. peft's
`replace_lora_weights_loftq` does the same, but on GPUs only, and it leaves out that the adapter's product is scaled by
alpha / rank; here the second matrix is divided by that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from engine.contract.errors import UserError

INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
PREFIX = "base_model.model."


@torch.no_grad()  # type: ignore[untyped-decorator]
def begin_loftq(model: Any, folder: Path, told: Callable[[float], None]) -> None:
    """Put the best approximation of what quantisation lost into the adapter; `folder` holds the whole weights."""
    from bitsandbytes.functional import dequantize_4bit
    from peft.tuners.lora.bnb import Linear4bit
    from peft.utils.loftq_utils import _low_rank_decomposition

    files, inner = _files(folder), getattr(model.get_base_model(), "base_model_prefix", "")
    layers = [(name.removeprefix(PREFIX), one) for name, one in model.named_modules() if isinstance(one, Linear4bit)]
    for number, (name, layer) in enumerate(layers):
        told(number / len(layers))
        held = layer.get_base_layer().weight
        first, second = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        whole = _weight(files, f"{name}.weight", inner).to(device=held.device, dtype=torch.float32)
        lost = whole - dequantize_4bit(held.data, held.quant_state).float()
        rank = layer.r["default"]
        if rank > min(whole.shape):
            raise UserError("config.init_rank", init="loftq", rank=rank, module=name, most=min(whole.shape))
        found = _low_rank_decomposition(lost, reduced_rank=rank)
        first.copy_(found["R"])
        second.copy_(found["L"] / layer.scaling["default"])


def _files(folder: Path) -> dict[str, Path]:
    """Which file holds which weight."""
    index = folder / INDEX
    if index.is_file():
        listed = json.loads(index.read_bytes())["weight_map"]
        return {name: folder / file for name, file in listed.items()}
    with safe_open(str(folder / WHOLE), framework="pt") as held:
        return dict.fromkeys(held.keys(), folder / WHOLE)


def _weight(files: dict[str, Path], name: str, inner: str) -> torch.Tensor:
    """One weight as it is published; some files leave the name of the inner model out."""
    for one in (name, name.removeprefix(f"{inner}.")):
        if one in files:
            with safe_open(str(files[one]), framework="pt") as held:
                return torch.as_tensor(held.get_tensor(one))
    raise UserError("config.init_weight", weight=name)
