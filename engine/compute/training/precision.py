"""Which number format a run works in, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from engine.contract.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """The formats chosen, and a note that says why."""

    arithmetic: str
    """fp32, bf16 or fp16."""
    weights: str
    """Format the base weights are held in."""
    note: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def weights_dtype(self) -> torch.dtype:
        """The same for torch."""
        return DTYPES[self.weights]


def decide(wanted: str, weights: str, trains_all: bool, device: torch.device) -> Precision:
    """The formats for this run on this device.

    Weights that are trained are held in fp32 unless the config says otherwise: small updates vanish in bf16.
    """
    chosen, note = (wanted, "training.precision_given") if wanted != "auto" else _automatic(device)
    if chosen == "fp16" and device.type == "cpu":
        raise UserError("config.fp16_needs_gpu")
    if weights == "auto":
        weights = "fp32" if trains_all else chosen
    if chosen == "fp16" and trains_all and weights == "fp16":
        raise UserError("config.fp16_weights")
    return Precision(chosen, weights, note, {"chosen": chosen, "weights": weights, "device": device_name(device)})


def has_bf16(device: torch.device) -> bool:
    """The device computes in bf16 by itself."""
    return device.type == "cuda" and bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _automatic(device: torch.device) -> tuple[str, str]:
    if device.type != "cuda":
        return "fp32", "training.precision_cpu"
    if has_bf16(device):
        return "bf16", "training.precision_bf16"
    if torch.cuda.get_device_capability(device) >= (7, 0):
        return "fp16", "training.precision_fp16"
    return "fp32", "training.precision_old_gpu"


def device_name(device: torch.device) -> str:
    """What a person calls the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def nvml_names(device: torch.device) -> list[str]:
    """What NVML calls the device: its number may be another one there."""
    if device.type != "cuda":
        return []
    return [f"GPU-{torch.cuda.get_device_properties(device).uuid}"]


def choose_device(gpus: int | None) -> torch.device:
    """The device the placement asks for: none says one GPU if there is one."""
    there = torch.cuda.is_available()
    if gpus and not there:
        raise UserError("environment.no_gpu")
    return torch.device("cuda", 0) if there and gpus != 0 else torch.device("cpu")
