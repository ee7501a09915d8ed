"""Beginnings of an adapter that come from the rows it will learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from engine.compute.training.batches import Batch, BatchLoader
from engine.compute.training.checkpoint import Chance


def begin_by_rows(model: Any, loader: BatchLoader, device: torch.device) -> None:
    """EVA: the first matrices become the main directions of what the modules are given (arXiv 2410.07170).

    The rows are those of the first epoch, in its order; nothing of training moves on for it.
    """
    config = getattr(model, "peft_config", {}).get("default")
    if getattr(config, "init_lora_weights", None) != "eva":
        return
    from peft import initialize_lora_eva_weights

    chance, tokens = Chance.now(), loader.tokens
    try:
        initialize_lora_eva_weights(model, _Batches(loader, device), show_progress_bar=False)
    finally:
        loader.tokens = tokens
        chance.restore()


class _Batches:
    """The batches of an epoch on the device; as often as somebody asks."""

    def __init__(self, loader: BatchLoader, device: torch.device) -> None:
        self._loader, self._device = loader, device

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            yield {name: tensor.to(self._device) for name, tensor in batch.items()}
