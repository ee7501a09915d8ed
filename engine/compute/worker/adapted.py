"""A base model with what a run taught it: an adapter, or the weights of a checkpoint of the whole model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from engine.compute.training.checkpoint import MODEL, load_weights
from engine.compute.training.new_tokens import fit_base
from engine.contract.adapter_start import CONFIG, WEIGHTS
from engine.contract.errors import UserError

BROKEN = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)


def adapted(model: Any, folder: Path, code: str) -> Any:
    """The model with the adapter in a folder; a UserError of this code says why that cannot be used."""
    from peft import PeftModel

    try:
        if not (folder / WEIGHTS).is_file():
            raise ValueError(f"{WEIGHTS} is missing.")
        task = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("task_type")
        if task not in (None, "CAUSAL_LM"):
            raise ValueError("It writes no text.")
        return PeftModel.from_pretrained(fit_base(model, folder), str(folder))
    except BROKEN as error:
        raise UserError(code, path=str(folder), detail=str(error)[:300]) from error


def taught(model: Any, folder: Path, code: str) -> Any:
    """The same of any state a run leaves: also that of a checkpoint which holds the whole model."""
    if (folder / CONFIG).is_file() or not (folder / MODEL).is_file():
        return adapted(model, folder, code)
    try:
        load_weights(model, folder)
    except BROKEN as error:
        raise UserError(code, path=str(folder), detail=str(error)[:300]) from error
    return model
