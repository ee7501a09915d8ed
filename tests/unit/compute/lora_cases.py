"""Adapters of peft's on the bundled model: every kind a file of ours holds, with weights from a seed."""

from __future__ import annotations

import copy
import warnings
from functools import cache
from pathlib import Path

import torch

from engine.contract.paths import resources_folder

DEMO = resources_folder() / "demo/model"
KINDS = {
    "plain": {"target_modules": ["q_proj", "v_proj"]},
    "all_linear": {"target_modules": "all-linear"},
    "rslora": {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"], "use_rslora": True},
    "dora": {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"], "use_dora": True},
    "patterns": {
        "target_modules": ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"],
        "rank_pattern": {"layers.0.self_attn.q_proj": 2, "up_proj": 6},
        "alpha_pattern": {"k_proj": 3},
    },
    "whole": {"target_modules": ["q_proj", "up_proj"], "modules_to_save": ["norm"]},
    "factor_bias": {"target_modules": ["q_proj", "down_proj"], "lora_bias": True},
    "embedding": {"target_modules": ["embed_tokens", "v_proj"]},
    "dora_embedding": {"target_modules": ["embed_tokens", "v_proj"], "use_dora": True},
}


@cache
def _base():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(DEMO, dtype=torch.float32).eval()


def base():
    """The bundled model in fp32, a copy of its own."""
    return copy.deepcopy(_base())


def tokens(rows: int = 2, length: int = 7, seed: int = 5) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randint(3, 4000, (rows, length), generator=made)


def peft_model(kind: str = "plain", seed: int = 0, rank: int = 4, model=None, **more):
    """A model of peft's whose adapter changes something."""
    from peft import LoraConfig, get_peft_model

    options = {"r": rank, "lora_alpha": 8, "task_type": "CAUSAL_LM"} | KINDS[kind] | more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = get_peft_model(base() if model is None else model, LoraConfig(**options)).eval()
    stir(made, seed)
    return made


def stir(model, seed: int) -> None:
    """Give what is trained values from a seed, near what it is."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (one for one in model.parameters() if one.requires_grad):
            noise = torch.randn(parameter.shape, generator=chance).to(parameter.dtype)
            parameter.add_(noise * max(0.05, 0.2 * float(parameter.float().std(unbiased=False))))


def save_peft(folder: Path, kind: str = "plain", seed: int = 0, rank: int = 4, dtype=None, **more) -> Path:
    """A folder of peft's with such an adapter."""
    made = peft_model(kind, seed, rank, **more)
    if dtype is not None:
        for parameter in (one for one in made.parameters() if one.requires_grad):
            parameter.data = parameter.data.to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_pretrained(str(folder))
    return folder
