"""A model with fresh weights in a folder that any program reads: the same from the same form and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engine.contract.scratch import ScratchConfig
from engine.contract.scratch_shape import config_of


def fresh_model(form: ScratchConfig, tokenizer: Any, seed: int) -> Any:
    """The model in fp32, as transformers begins one; chance stands afterwards where it stood."""
    from transformers import AutoConfig, AutoModelForCausalLM

    content = config_of(form, len(tokenizer))
    kind = content.pop("model_type")
    config = AutoConfig.for_model(
        kind, **content, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def write_fresh(form: ScratchConfig, tokenizer: Any, seed: int, folder: Path) -> None:
    """Weights, config and tokenizer as files."""
    fresh_model(form, tokenizer, seed).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
