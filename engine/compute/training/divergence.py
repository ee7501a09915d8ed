"""How far apart the predictions of a student and of its teacher are, token by token (GKD, arXiv 2306.13649, eq. 1)."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name
from torch.utils.checkpoint import checkpoint

CHUNK = 512
"""Tokens whose distributions are compared at once: the whole vocabulary of each takes much memory."""


def summed_divergence(
    student: torch.Tensor, teacher: torch.Tensor, beta: float, temperature: float = 1.0
) -> torch.Tensor:
    """Sum over tokens, from logits of shape (tokens, vocabulary): 0 is the forward KL, 1 the reverse, else the JSD."""
    total = torch.zeros((), device=student.device)
    for ours, theirs in zip(student.split(CHUNK), teacher.split(CHUNK), strict=True):
        found: Any = checkpoint(_divergence, ours, theirs, beta, temperature, use_reentrant=False)
        total = total + found
    return total


def _divergence(student: torch.Tensor, teacher: torch.Tensor, beta: float, temperature: float) -> torch.Tensor:
    ours = F.log_softmax(student.float() / temperature, dim=-1)
    theirs = F.log_softmax(teacher.float() / temperature, dim=-1)
    if beta == 0:
        return F.kl_div(ours, theirs, reduction="sum", log_target=True)
    if beta == 1:
        return F.kl_div(theirs, ours, reduction="sum", log_target=True)
    share = torch.tensor(beta, device=ours.device)
    mixed = torch.logsumexp(torch.stack([ours + torch.log1p(-share), theirs + torch.log(share)]), dim=0)
    of_teacher = F.kl_div(mixed, theirs, reduction="sum", log_target=True)
    return share * of_teacher + (1 - share) * F.kl_div(mixed, ours, reduction="sum", log_target=True)
