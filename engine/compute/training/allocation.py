"""AdaLoRA: ranks move to the modules that need them while the run learns (arXiv 2303.10512), as peft does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig
from engine.contract.tuners import allocation_of

FILE = "ranks.safetensors"
"""In a checkpoint: how much each number of the adapter mattered so far."""
MEANS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class Allocation:
    """What AdaLoRA does beside the optimiser: a term of the loss, and fewer ranks after a step."""

    def __init__(self, model: Any, config: TunerConfig, steps: int) -> None:
        """Tell peft how many steps there are; refuses those the phases do not fit into."""
        self._model, self._steps = model.base_model, steps
        first, last, every = allocation_of(steps, config.tinit, config.tfinal, config.delta_t)
        if first + last >= steps:
            raise UserError("config.adalora_steps", tinit=first, tfinal=last, steps=steps)
        if config.target_rank >= config.rank:
            raise UserError("config.adalora_rank", rank=config.rank, target=config.target_rank)
        settings = model.peft_config["default"]
        settings.total_step, settings.tinit, settings.tfinal, settings.deltaT = steps, first, last, every
        self._settings, self._last = settings, steps - last
        self._factors = [
            (weight, ".lora_A." in name) for name, weight in model.named_parameters() if ".lora_A." in name
            or ".lora_B." in name
        ]  # fmt: skip

    def penalty(self) -> torch.Tensor:
        """How far the first and second matrices are from being orthogonal, weighed: what peft's forward adds."""
        found = [weight @ weight.T if first else weight.T @ weight for weight, first in self._factors]
        apart = [torch.norm(one - torch.eye(len(one), device=one.device, dtype=one.dtype), p="fro") for one in found]
        return torch.stack(apart).sum() / len(apart) * self._settings.orth_reg_weight

    def after_update(self, step: int) -> None:
        """The optimiser made this step, counted from 1, and the gradients are still there."""
        learned = all(weight.grad is not None for weight, _ in self._factors)
        if learned or step >= self._last:  # a step that was passed over tells nothing
            self._model.update_and_allocate(step)

    def save(self, folder: Path) -> None:
        """What the next allocation depends on."""
        ranks = self._model.rankallocator
        held = {f"{mean}/{name}": one for mean in MEANS for name, one in getattr(ranks, mean).items()}
        pattern = self._settings.rank_pattern or {}
        held |= {f"pattern/{name}": torch.tensor(kept, dtype=torch.bool) for name, kept in pattern.items()}
        save_file({name: one.detach().cpu().contiguous() for name, one in held.items()}, str(folder / FILE))

    def load(self, folder: Path) -> None:
        """What `save` wrote."""
        ranks, pattern = self._model.rankallocator, dict[str, list[bool]]()
        ranks.reset_ipt()
        device = self._factors[0][0].device
        with safe_open(str(folder / FILE), framework="pt") as held:
            for key in held.keys():  # noqa: SIM118 - it is no mapping
                kind, _, name = key.partition("/")
                if kind == "pattern":
                    pattern[name] = held.get_tensor(key).tolist()
                else:
                    getattr(ranks, kind)[name] = held.get_tensor(key).to(device)
        self._settings.rank_pattern = pattern or None


@contextmanager
def all_ranks(model: Any) -> Iterator[None]:
    """Inside, weights are read and put in with all the ranks they have, also those that are masked."""
    config = getattr(model, "peft_config", {}).get("default")
    if getattr(config, "peft_type", "") != "ADALORA":
        yield
        return
    assert config is not None
    pattern, config.rank_pattern = config.rank_pattern, None
    try:
        yield
    finally:
        config.rank_pattern = pattern


def prune(model: Any) -> None:
    """Let the result hold the ranks that are not masked, by what the weights themselves say."""
    config = getattr(model, "peft_config", {}).get("default")
    if getattr(config, "peft_type", "") == "ADALORA":
        assert config is not None
        inner = model.base_model.model
        values = {name: one for name, one in inner.named_parameters() if ".lora_E." in name}
        found = {name: (one != 0).view(-1).tolist() for name, one in values.items()}
        # A module without a rank would be no adapter; a rank whose value is nothing adds nothing.
        config.rank_pattern = {name: kept if any(kept) else [True, *kept[1:]] for name, kept in found.items()}
