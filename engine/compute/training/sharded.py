"""Weights, gradients and the optimiser's state parted among the members, by torch's FSDP2 (`fully_shard`).

A layer's weights are put together when it is passed through and parted again behind it. Gradients are summed, not
averaged, as everywhere here. Every member must pass through the model equally often, so one without rows left passes
one whose loss counts nothing. Between two steps `whole` puts everything together for the first member alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


class Sharded:
    """A model that was parted, and the optimiser of its parts."""

    def __init__(self, model: nn.Module, optimizer: Callable[[], torch.optim.Optimizer]) -> None:
        self._model, self._optimizer = model, optimizer

    def whole(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """What learns, by name, and the optimiser's state as it would be unparted; all members must ask at once."""
        put_apart(self._model)
        return whole_weights(self._model), plain(self._optimizer().state_dict())

    def put_together(self) -> None:
        """All members must ask at once."""
        put_together(self._model)

    def put_apart(self) -> None:
        """Each keeps its part only."""
        put_apart(self._model)

    def alone(self) -> AbstractContextManager[None]:
        """With all weights put together before: this member passes through without the others."""
        return alone(self._model)

    def restore(self) -> None:
        """Make it the plain model again; all members must ask at once."""
        restore(self._model)


def shard(model: nn.Module) -> None:
    """Part a model layer by layer."""
    for layer in max((one for one in model.modules() if isinstance(one, nn.ModuleList)), key=len, default=()):
        fully_shard(layer)
    fully_shard(model, reshard_after_forward=False)  # needed again at once, by the backward pass
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_force_sum_reduction_for_comms(True)
            module.set_gradient_divide_factor(1.0)


def is_sharded(model: nn.Module) -> bool:
    """It was parted."""
    return isinstance(model, FSDPModule)


def plain(value: Any) -> Any:
    """A value whose tensors are whole; all members must ask at once, in the same order."""
    if isinstance(value, DTensor):
        return value.full_tensor().detach().cpu()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def whole_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """What learns, whole and by name, each once; all members must ask at once."""
    return {name: plain(weight.detach()) for name, weight in model.named_parameters() if weight.requires_grad}


def part_state(optimizer: torch.optim.Optimizer) -> None:
    """Part the optimiser's state as its weights are, after it was loaded whole."""
    for weight, state in optimizer.state.items():
        if not isinstance(weight, DTensor):
            continue
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and not isinstance(value, DTensor) and value.shape == weight.shape:
                state[name] = distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)


@contextmanager
def alone(model: nn.Module) -> Iterator[None]:
    """With all weights put together before: for as long as it lasts this member passes through without the others."""
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in parts:
        module.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for module in parts:
            module.set_reshard_after_forward(module is not model, recurse=False)
        model.reset_iter_state()  # the order of those passes is no order for the others
        put_apart(model)


def put_together(model: nn.Module) -> None:
    """All members must ask at once."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.unshard()


def put_apart(model: nn.Module) -> None:
    """Each keeps its part only."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def restore(model: nn.Module) -> None:
    """Make it the plain model again that it was before it was parted; all members must ask at once."""
    put_apart(model)
    made = {id(weight): nn.Parameter(_on(weight), weight.requires_grad) for weight in model.parameters()}
    for module in list(model.modules()):
        if isinstance(module, FSDPModule):
            module.__class__ = type(module).__bases__[1]
            for hooks in (
                module._forward_pre_hooks, module._forward_hooks, module._state_dict_pre_hooks,
                module._load_state_dict_pre_hooks,
            ):  # fmt: skip
                hooks.clear()
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = made[id(weight)]


def _on(weight: torch.Tensor) -> torch.Tensor:
    return weight.full_tensor().detach() if isinstance(weight, DTensor) else weight.detach()
