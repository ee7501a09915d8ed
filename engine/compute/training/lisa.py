"""LISA: a few layers learn at a time, others every so many steps (arXiv 2403.17919). Embeddings and head always learn.

Which layers those are is a function of seed and step alone, so that a resumed run takes the same. The optimiser forgets
layers that stop learning: that is where the memory is saved, and what the method's authors do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from engine.compute.training.tuners import layers_of
from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig


def chosen_layers(seed: int, step: int, every: int, layers: int, have: int) -> list[int]:
    """The layers that learn at the step after this one."""
    drawn = np.random.default_rng([seed, 3, step // every]).permutation(have)[:layers]
    return sorted(int(one) for one in drawn)


class Lisa(TrainerCallback):  # type: ignore[misc]
    """Lets layers learn and rest, between two steps."""

    def __init__(self, model: Any, config: TunerConfig, seed: int) -> None:
        self._layers = [list(layer.parameters()) for layer in layers_of(model)]
        if config.layers > len(self._layers):
            raise UserError("config.freeze_layers", layers=config.layers, have=len(self._layers))
        self._config, self._seed = config, seed
        self._optimizer: torch.optim.Optimizer | None = None
        self.now: list[int] | None = None
        """Those that learn."""

    def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **rest: Any) -> None:
        """The optimiser knows all layers, for any may come to learn; from here on a few do."""
        del args, control, rest
        self._optimizer = getattr(optimizer, "optimizer", optimizer)  # of what accelerate wraps
        self._choose(state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """No gradient is there yet."""
        del args, control, rest
        self._choose(state.global_step)

    def _choose(self, step: int) -> None:
        now = chosen_layers(self._seed, step, self._config.every, self._config.layers, len(self._layers))
        if now == self.now:
            return
        self.now = now
        for number, parameters in enumerate(self._layers):
            for parameter in parameters:
                parameter.requires_grad_(parameter.is_floating_point() and number in now)
                if number not in now:
                    parameter.grad = None
                    if self._optimizer is not None:
                        self._optimizer.state.pop(parameter, None)
