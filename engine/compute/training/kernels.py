"""Faster ways through a model's layers: compiled by torch, or with Liger's kernels in the place of transformers'."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch

from engine.compute.training.tuners import layers_of
from engine.contract.acceleration import ATTENTION, LIGER
from engine.contract.errors import UserError

BACKEND = "inductor"


def why_not_compiled(device: torch.device, backend: str = BACKEND) -> str:
    """What keeps torch from compiling here, tried on a few numbers; empty: nothing does."""

    def tried(numbers: torch.Tensor) -> torch.Tensor:
        return torch.sin(numbers) * 2 + numbers

    try:
        torch.compile(tried, backend=backend)(torch.ones(8, device=device))
    except Exception as error:  # noqa: BLE001 - whatever the compiler lacks, training goes on without it
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    finally:
        torch.compiler.reset()
    return ""


def compile_layers(model: Any, backend: str = BACKEND) -> int:
    """Compile each block of the model where it stands, and say how many: one code for all of them, and none for what
    the rest of the program asks of the model. Names of weights stay as they are.

    What the compiler fails at later runs as it is written.
    """
    torch._dynamo.config.suppress_errors = True
    layers = layers_of(model)
    for layer in layers:
        layer.compile(backend=backend, dynamic=True)  # batches differ in width: one code for all widths
    return len(layers)


def check_attention(attention: str, device: torch.device) -> None:
    """Refuse an implementation whose package or device is not there; raises UserError."""
    if attention not in ATTENTION:
        return
    field, (package, install) = "model.attention", ATTENTION[attention]
    if importlib.util.find_spec(package) is None:
        raise UserError("package.missing", used_for=attention, package=package, install=install, field=field)
    if device.type != "cuda":
        raise UserError("package.needs_cuda", used_for=attention, field=field)


def apply_liger(model: Any, device: torch.device) -> None:
    """Put Liger's kernels into the model; the loss stays ours, which computes logits of learned tokens only."""
    name, install = LIGER
    if importlib.util.find_spec(name) is None:
        raise UserError("package.missing", used_for="Liger", package=name, install=install, field="training.liger")
    if device.type != "cuda":
        raise UserError("package.needs_cuda", used_for="Liger", field="training.liger")
    liger = importlib.import_module(f"{name}.transformers")
    liger._apply_liger_kernel_to_instance(model=model, fused_linear_cross_entropy=False, cross_entropy=False)
