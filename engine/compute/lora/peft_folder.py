"""Adapters as peft keeps them, adapter_config.json and adapter_model.safetensors. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.compute.lora.adapter import Adapter, assemble
from engine.contract.adapter_start import CONFIG, WEIGHTS
from engine.contract.durable import aside, write_durably
from engine.contract.errors import Conflict, NotFound, UserError

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
MAX_CONFIG_BYTES = 16 << 20


def read_folder(folder: Path) -> Adapter:
    """The adapter in a folder of peft's; refused with everything that is wrong with it."""
    text = read_config(folder)
    tensors, metadata = _weights(folder)
    return assemble(text, tensors, str(folder), metadata=metadata)


def read_config(folder: Path) -> str:
    """adapter_config.json as it stands there; a JSON object."""
    if not folder.is_dir():
        raise NotFound("lora.missing", path=str(folder))
    path = folder / CONFIG
    if not path.is_file():
        raise UserError("lora.no_config", path=str(folder))
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it is larger than {MAX_CONFIG_BYTES >> 20} MB")
        text = path.read_text(encoding="utf-8")
        if not isinstance(json.loads(text), dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError, OSError) as error:
        raise UserError("lora.bad_config", path=str(folder), detail=str(error)[:300]) from None
    return text


def _weights(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = sorted(found.name for pattern in PICKLES for found in folder.glob(pattern))
        if pickled:
            raise UserError("lora.pickled", path=str(folder), found=", ".join(pickled[:3]))
        raise UserError("lora.no_weights", path=str(folder))
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, RuntimeError, OSError) as error:
        raise UserError("lora.bad_weights", path=str(folder), detail=str(error)[:300]) from None


def write_folder(adapter: Adapter, folder: Path) -> None:
    """The adapter as a folder of peft's: its config letter for letter, each weight as it is."""
    if (folder / WEIGHTS).exists() or (folder / CONFIG).exists() or (folder.exists() and not folder.is_dir()):
        raise Conflict("lora.exists", path=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with aside(folder / WEIGHTS) as path:
        save_file(_plain(adapter.tensors), str(path), metadata=adapter.file_metadata or {"format": "pt"})
    write_durably(folder / CONFIG, adapter.config_text.encode())


def _plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """safetensors refuses tensors that share memory."""
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
