"""Loading a base model and its tokenizer from a local folder, never from a hub, never from pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engine.contract.bundled import MODELS, locate
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig


def model_folder(config: ModelConfig) -> Path:
    """The folder a model setting means; refuses what is not there."""
    folder = locate(config)
    if folder is None:
        raise UserError("model.not_here", path=config.path, choices=", ".join(MODELS))
    if not folder.is_dir():
        raise UserError("model.missing", path=str(folder))
    if not (folder / "config.json").is_file():
        raise UserError("model.no_config", path=str(folder))
    if not any(folder.glob("*.safetensors")):
        raise UserError("model.no_weights", path=str(folder))
    return folder


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise UserError("model.bad_tokenizer", path=str(folder), detail=_short(error)) from error
    return tokenizer


def load_model(folder: Path, dtype: torch.dtype, attention: str, device: torch.device) -> Any:
    """The model with its weights, on its device; weights that are missing or of another shape are refused."""
    from transformers import AutoModelForCausalLM

    options = {} if attention == "auto" else {"attn_implementation": attention}
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if "allocate" in str(error):
            raise
        raise UserError("model.cannot_load", path=str(folder), detail=_short(error)) from error
    wrong = sorted(found["missing_keys"]) + [str(key) for key in found["mismatched_keys"]]
    if wrong:
        names = ", ".join(wrong[:5])
        raise UserError("model.weights_incomplete", path=str(folder), count=len(wrong), names=names)
    return model.to(device)


def padding_token(tokenizer: Any) -> int:
    """A token to fill rows with; its value never matters, for it is never learned and never seen."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:600]
