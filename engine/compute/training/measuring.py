"""What a model's loss is over rows it does not learn from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from engine.compute.inference.mode import at_rest
from engine.compute.training.batches import Batch
from engine.compute.training.objectives import Figures, Objective


@torch.no_grad()  # type: ignore[untyped-decorator]
def mean_loss(
    model: Any, batches: Iterable[Batch], device: torch.device, selective: bool, objective: Objective
) -> tuple[float, dict[str, float]]:
    """Mean loss over some batches, and what the stage tells of them; touches neither chance nor the model's mode."""
    total, count, figures = 0.0, 0, Figures()
    with at_rest(model):
        for batch in batches:
            moved = {name: tensor.to(device) for name, tensor in batch.items()}
            loss, told = objective.loss(model, moved, selective)
            total += float(loss)
            figures.add(told)
            count += objective.count(batch)
    return total / max(count, 1), figures.lap()
