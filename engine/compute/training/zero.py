"""DeepSpeed's ZeRO: the optimiser's state (1), with it the gradients (2) and the weights (3) parted among the members.

DeepSpeed's engine takes the recipe's own optimiser and parts what it works on. It is driven by its own calls: a pass is
told whether it is the last of the step, the update is a call of its own, and between the two the gradient is whole
enough to be measured. It takes means over members: a loss is multiplied by their number first, so that sums stay sums.
Stages 2 and 3 add up gradients in every pass, so a member without rows left passes one whose loss counts nothing.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn

from engine.compute.training.members import PLACE
from engine.contract.members import ZERO_STAGES

if TYPE_CHECKING:
    from engine.compute.training.members import Members

BUCKET = 16 << 20
"""Numbers that are added up, or fetched ahead, at once."""


class Zero(torch.optim.Optimizer):  # type: ignore[misc]
    """What the trainer, its schedule and a checkpoint see: an optimiser of whole weights."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, members: Members, clip: float) -> None:
        """`optimizer` is the recipe's, which has not stepped yet; `clip` the norm gradients are clipped to, 0: none."""
        super().__init__([dict(group) for group in optimizer.param_groups], {})
        self.stage = ZERO_STAGES[members.strategy]
        self._model, self._inner, self._count = model, optimizer, members.count
        self._names = {id(weight): name for name, weight in model.named_parameters() if weight.requires_grad}
        learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        self._engine = _engine(model, optimizer, members, settings(self.stage, clip, learning))
        self._parts = self._engine.optimizer
        self._gathered: Any = None

    @property
    def held_bytes(self) -> int:
        """Of parts that are no weights of the model's."""
        parts = [weight.ds_tensor for weight in self._model.parameters()] if self.stage == 3 else []
        return sum(one.numel() * one.element_size() for one in (*parts, *(flat for flat, _ in self._flat())))

    # A step.

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        """Of a pass; `last` of the step, behind which gradients are those of all members."""
        self._parts.clear_backward_seen_flag()  # its engine's forward pass would, which nothing here goes through
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss * self._count)

    def norm(self) -> torch.Tensor:
        """Of the whole gradient, not clipped; infinite where a number of it is none."""
        if self.stage < 3:
            return self._parts.scaled_global_norm()
        return _deepspeed().runtime.utils.combine_grad_norm_groups(self._parts._get_norm_groups())

    def multiply(self, factor: float) -> None:
        """Every number of the gradient."""
        for gradient in self._gradients():
            gradient.mul_(factor)

    def leave_out(self) -> None:
        """The update that comes next changes nothing: DeepSpeed passes over a gradient that is no number."""
        self.multiply(float("nan"))

    def _gradients(self) -> list[torch.Tensor]:
        return [one for group in self._parts.averaged_gradients.values() for one in group or ()]

    def step(self, closure: Callable[[], float] | None = None) -> None:
        """The update, by the rates that stand in the groups."""
        del closure
        for group, inner in zip(self._filled(), self._inner.param_groups, strict=True):
            inner.update({name: value for name, value in group.items() if name != "params"})
        kept = self._gradients() if self.stage == 3 else []
        self._engine.step()
        for gradient in kept:  # one that the next pass does not reach would count once more
            gradient.zero_()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Its step has done it."""

    def _filled(self) -> list[dict[str, Any]]:
        """Groups that have weights: DeepSpeed drops the others."""
        return [group for group in self.param_groups if group["params"]]

    # What a checkpoint keeps.

    def whole(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """What learns, by name, and the optimiser's state as it would be unparted; all members must ask at once."""
        self._link()
        weights = [weight for group in self.param_groups for weight in group["params"]]
        states = {place: self._whole_state(weight) for place, weight in enumerate(weights)}
        found = {"state": {place: state for place, state in states.items() if state}}
        return {self._names[id(weight)]: self._whole(weight) for weight in weights}, {**self.state_dict(), **found}

    def _whole(self, weight: nn.Parameter) -> torch.Tensor:
        if self.stage < 3:
            return weight.detach().cpu().clone()
        with _deepspeed().zero.GatheredParameters([weight]):
            return weight.detach().cpu().clone()

    def _whole_state(self, weight: nn.Parameter) -> dict[str, Any]:
        found = {}
        for name, value in next(iter(self._inner.state.values()), {}).items():
            whole = isinstance(value, torch.Tensor) and value.dim() > 0
            value = _deepspeed().utils.safe_get_full_optimizer_state(weight, name) if whole else value
            found[name] = value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A whole state, of any number of members; each takes its part."""
        super().load_state_dict({**state_dict, "state": {}})
        weights = [weight for group in self.param_groups for weight in group["params"]]
        states = {id(weight): state_dict["state"].get(place) for place, weight in enumerate(weights)}
        known = next((state for state in states.values() if state), None)
        if known is None:
            return
        for flat, group in self._flat():
            self._inner.state[flat] = {name: _begun(value, flat, group) for name, value in known.items()}
        self._link()
        for weight in weights:
            for name, value in (states[id(weight)] or {}).items():
                if isinstance(value, torch.Tensor) and value.dim() > 0:
                    self._take_part(weight, name, value)

    def _link(self) -> None:
        """Let weights know the state that is theirs: DeepSpeed does so when only the first group has any."""
        if self.stage < 3 and self._inner.state:
            self._parts._hp_optimizer_states_linked = False
            self._parts._lazy_init_hp_params_optimizer_state()

    def _flat(self) -> Iterator[tuple[torch.Tensor, dict[str, Any]]]:
        """What the inner optimiser works on, and by which settings."""
        if self.stage < 3:
            yield from ((group["params"][0], group) for group in self._inner.param_groups)
            return
        for place, flat in enumerate(self._parts.fp32_partitioned_groups_flat):
            yield flat, self._inner.param_groups[self._parts.sub_group_to_group_id[place]]

    def _take_part(self, weight: nn.Parameter, name: str, value: torch.Tensor) -> None:
        tools = _deepspeed().utils
        if self.stage < 3:
            tools.safe_set_full_optimizer_state(weight, value.to(weight.device), name)
            return
        size, begin = weight.ds_tensor.numel(), weight.ds_tensor.numel() * dist.get_rank()
        part = value.flatten()[begin : begin + size]
        part = torch.cat((part, part.new_zeros(size - part.numel())))  # the last part of a weight is filled up
        tools.safe_set_local_optimizer_state(weight, part.to(weight.ds_tensor.device), name)

    # The whole model.

    def put_together(self) -> None:
        """All members must ask at once."""
        if self.stage == 3:
            self._gathered = _deepspeed().zero.GatheredParameters(list(self._model.parameters()))
            self._gathered.__enter__()
            self._unhook()

    def put_apart(self) -> None:
        """Each keeps its part only."""
        if self._gathered is not None:
            self._gathered.__exit__(None, None, None)
            self._gathered = None
            self._parts.parameter_offload.setup_zero_stage3_hooks()  # numbers the layers anew: in every member, or none

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With all weights put together before: this member passes through without the others."""
        try:
            yield
        finally:
            self.put_apart()

    def _unhook(self) -> None:
        """A layer's weights are neither fetched nor let go."""
        offload = self._parts.parameter_offload
        for weight in self._model.parameters():
            weight.ds_active_sub_modules.clear()
        offload._remove_module_hooks()
        offload.forward_hooks, offload.backward_hooks = [], []

    def restore(self) -> None:
        """Make it the plain model again; all members must ask at once."""
        self.put_together()
        made = {id(weight): _plain(weight) for weight in self._model.parameters()}
        self.put_apart()
        self._engine.module_forward_pre_hook.remove()
        self._engine.module_forward_post_hook.remove()
        self._engine.destroy()
        for module in self._model.modules():
            parameters = {name: made[id(one)] if one is not None else None for name, one in module._parameters.items()}
            module._parameters = parameters
        self._engine = self._parts = self._inner = None


def settings(stage: int, clip: float, learning: int) -> dict[str, Any]:
    """DeepSpeed's config; `learning` numbers learn."""
    bucket = max(2, min(BUCKET, learning + learning % 2))
    parted = {"stage3_param_persistence_threshold": 0, "stage3_max_reuse_distance": 0,
              "stage3_prefetch_bucket_size": 0, "overlap_comm": False, "memory_efficient_linear": False}  # fmt: skip
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": clip,
        "steps_per_print": None,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": stage, "reduce_bucket_size": bucket, "allgather_bucket_size": BUCKET,
            **(parted if stage == 3 else {}),
        },
    }  # fmt: skip


def _engine(model: nn.Module, optimizer: torch.optim.Optimizer, members: Members, config: dict[str, Any]) -> Any:
    device = next(model.parameters()).device
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    deepspeed = _deepspeed()
    deepspeed.utils.groups._WORLD_GROUP = members.another_group()  # its own would wait for half an hour
    deepspeed.zero.Init.param_id = 0  # all count weights alike, whatever a process did before
    os.environ[PLACE] = "0"  # no member sees another one's GPU
    return deepspeed.initialize(model=model, optimizer=optimizer, config=config, dist_init_required=False)[0]


def _deepspeed() -> Any:
    if sys.modules.get("deepspeed", sys) is None:  # kept from libraries that would import it in every run
        del sys.modules["deepspeed"]
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    deepspeed.ops.__compatible_ops__ = {}  # none of its kernels is compiled here while a run starts
    return deepspeed


def _begun(value: Any, flat: torch.Tensor, group: dict[str, Any]) -> Any:
    """A state's value for a flat part: room for the numbers of many weights, or what counts for all of them."""
    if not isinstance(value, torch.Tensor):
        return value
    if value.dim() > 0:
        return torch.zeros_like(flat, dtype=value.dtype, requires_grad=False)
    return value.clone().to(flat.device if group.get("fused") or group.get("capturable") else "cpu")


def _plain(weight: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), weight.requires_grad)
