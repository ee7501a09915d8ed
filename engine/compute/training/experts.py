"""A mixture of experts while it learns: the loss that keeps experts evenly used, and how evenly they are."""

from __future__ import annotations

from typing import Any

import torch

from engine.compute.training.batches import IGNORED, Batch
from engine.compute.training.objectives import Tokens, Told

Heard = tuple[torch.Tensor, torch.Tensor]
"""Of a layer: what its router says of each expert for each token, and the experts that were taken."""


class Balanced(Tokens):
    """The loss over tokens and, while training, `weight` times the loss of balance (arXiv 2101.03961, 4 to 6)."""

    weight = 0.0
    tells = ("balance_loss", "expert_load/most", "expert_load/idle")

    def meet(self, model: Any) -> None:
        """Listen to the routers of its layers."""
        self._heard: list[Heard] | None = None
        self._routers = list[Any]()
        for module in model.modules():
            if type(module).__name__.lower().endswith("topkrouter"):
                module.register_forward_hook(self._hear)

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the tokens; validation has no loss of balance in it."""
        if not model.training:
            return super().loss(model, batch, selective)
        self._heard, self._routers = heard, routers = list[Heard](), list[Any]()
        try:
            loss, told = super().loss(model, batch, selective)
        finally:
            self._heard = None  # layers that are computed again for their gradients are not heard twice
        if not heard:
            return loss, told
        likely = [(_likely(router, logits), chosen) for router, (logits, chosen) in zip(routers, heard, strict=True)]
        balance, loads = balance_of(likely, (batch["labels"] != IGNORED).reshape(-1))
        even = loads.detach() * loads.shape[-1]
        figures = {
            "balance_loss": balance.detach().reshape(1),
            "expert_load/most": even.amax(dim=-1),
            "expert_load/idle": (even == 0).float().reshape(-1),
        }
        if self.weight:
            loss = loss + self.weight * balance * self.count(batch)
        return loss, {**told, **figures}

    def _hear(self, module: Any, _inputs: Any, output: Any) -> None:
        if self._heard is None:
            return
        logits, _weights, chosen = output
        self._routers.append(module)
        self._heard.append((logits, chosen))  # as it is: what is made of it here would have to be made again


def _likely(router: Any, logits: torch.Tensor) -> torch.Tensor:
    """How likely each expert is; DeepSeek's scores stand each for itself and are made shares (arXiv 2412.19437, 18)."""
    if not hasattr(router, "e_score_correction_bias"):
        return logits.float().softmax(dim=-1)
    scores = logits.float().sigmoid()
    return scores / scores.sum(dim=-1, keepdim=True)


def balance_of(heard: list[Heard], counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of balance over all layers, and each layer's share of tokens by expert; `counts` leaves out filling.

    The loss is transformers' `load_balancing_loss_func`: as many as work on a token where all are used alike.
    """
    tokens = counts.float().sum().clamp(min=1)
    likely, taken = [], []
    for probabilities, chosen in heard:
        weights = counts.to(probabilities.dtype)
        used = torch.zeros_like(probabilities).scatter_add_(1, chosen, torch.ones_like(chosen, dtype=weights.dtype))
        taken.append((used * weights[:, None]).sum(dim=0) / tokens)
        likely.append((probabilities * weights[:, None]).sum(dim=0) / tokens)
    shares = torch.stack(taken)
    balance = (shares.mean(dim=0) * torch.stack(likely).mean(dim=0)).sum() * shares.shape[-1]
    return balance, shares / shares.sum(dim=-1, keepdim=True).clamp(min=1e-9)
