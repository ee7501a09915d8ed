"""Cross-entropy on trained positions only, so that most rows of the largest matrix product are never computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import IGNORED
from engine.compute.training.packs import POSITIONS
from engine.compute.training.prompts import virtual_tokens

Tell = Callable[[torch.Tensor, torch.Tensor], None]
"""Takes which positions predict a trained token, and the loss of each of those tokens, in their order."""


def next_token_targets(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which positions predict a trained token (mask of the batch's shape), and those tokens in order."""
    shifted = F.pad(labels[:, 1:], (0, 1), value=IGNORED)
    mask = shifted != IGNORED
    return mask, shifted[mask]


def trained_logits(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, selective: bool, positions: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits at the positions of a mask of the rows' shape, one after another; virtual tokens before rows are none.

    `positions` of tokens are told where rows share a sequence.
    """
    told = {} if positions is None else {"position_ids": positions}
    before = virtual_tokens(model)
    if not selective:
        logits = model(input_ids=ids, use_cache=False, **told).logits
        return torch.as_tensor((logits[:, before:] if before else logits)[mask])
    wanted = F.pad(mask, (before, 0), value=False) if before else mask
    logits = model(input_ids=ids, logits_to_keep=wanted, use_cache=False, **told).logits
    return torch.as_tensor(logits.reshape(-1, logits.shape[-1]))


def keeps_selected_logits(model: torch.nn.Module) -> bool:
    """The model can be asked for the logits of chosen positions and gives the same ones as without.

    Tried on a few tokens, for every architecture writes its own forward.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "logits_to_keep" not in inspect.signature(inner.forward).parameters:
        return False
    device = next(model.parameters()).device
    ids = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]], device=device) % model.config.get_text_config().vocab_size
    mask = torch.tensor([[False, True, True, False], [True, False, False, True]], device=device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            full, chosen = (trained_logits(model, ids, mask, selective) for selective in (False, True))
        return bool(chosen.shape == full.shape and torch.allclose(chosen.float(), full.float(), rtol=1e-2, atol=1e-2))
    except (TypeError, IndexError, RuntimeError, ValueError):
        return False
    finally:
        model.train(training)


def summed_loss(model: Any, batch: dict[str, torch.Tensor], selective: bool, tell: Tell | None = None) -> torch.Tensor:
    """Sum of the cross-entropy over the trained tokens of a batch, in fp32; `tell` gets the mask and each token's."""
    mask, targets = next_token_targets(batch["labels"])
    if targets.numel() == 0:
        return sum((p.sum() * 0.0 for p in model.parameters() if p.requires_grad), torch.zeros((), device=mask.device))
    logits = trained_logits(model, batch["input_ids"], mask, selective, batch.get(POSITIONS))
    if tell is None:
        return F.cross_entropy(logits.float(), targets, reduction="sum")
    likely = F.log_softmax(logits.float(), dim=-1)  # cross_entropy is these two steps: the same bits, also backwards
    tell(mask, -likely.detach().gather(1, targets[:, None])[:, 0])
    return F.nll_loss(likely, targets, reduction="sum")
