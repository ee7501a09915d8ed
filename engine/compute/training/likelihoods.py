"""Log-likelihoods of sampled answers, at the temperature they were sampled with, and how open each choice was."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.loss import next_token_targets

CHUNK = 1024
"""Tokens whose entropy is reckoned at once."""


def answer_likelihoods(
    model: Any, ids: torch.Tensor, labels: torch.Tensor, selective: bool, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each learned token, at the place that predicts it and in fp32 (0 at all others); the entropies in a row."""
    mask, targets = next_token_targets(labels)
    if targets.numel() == 0:
        nothing = sum(
            (p.sum() * 0.0 for p in model.parameters() if p.requires_grad), torch.zeros((), device=ids.device)
        )
        return torch.zeros(mask.shape, device=ids.device) + nothing, torch.zeros(0, device=ids.device)
    if selective:
        logits = model(input_ids=ids, logits_to_keep=mask, use_cache=False).logits
        logits = logits.reshape(-1, logits.shape[-1])
    else:
        logits = model(input_ids=ids, use_cache=False).logits[mask]
    logits = logits.float() if temperature == 1 else logits.float() / temperature
    found = -F.cross_entropy(logits, targets, reduction="none")
    spread = torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, found)
    return spread, torch.cat([_entropy(piece) for piece in logits.detach().split(CHUNK)])


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    likely = F.log_softmax(logits, dim=-1)
    return -(likely.exp() * likely).sum(-1)
