"""What an answer is worth against the other answers to its question, as trl 1.16 reckons it. NaN: it was not judged."""

from __future__ import annotations

import torch

SMALL = 1e-4


def spread(values: torch.Tensor, dim: int | None = None) -> torch.Tensor:
    """Standard deviation of those that are numbers, by one less than their count."""
    mean = values.nanmean() if dim is None else values.nanmean(dim, keepdim=True)
    squares = (values - mean) ** 2
    count = (~values.isnan()).sum() if dim is None else (~values.isnan()).sum(dim)
    total = squares.nansum() if dim is None else squares.nansum(dim)
    return (total / (count - 1)).sqrt()


def group_advantages(rewards: torch.Tensor, each: int, scale: str) -> torch.Tensor:
    """GRPO (arXiv 2402.03300): the distance from the mean of the question's answers, in what `scale` names."""
    groups = rewards.view(-1, each)
    found = (groups - groups.nanmean(1, keepdim=True)).view(-1)
    if scale == "group":
        found = found / (spread(groups, 1).repeat_interleave(each) + SMALL)
    elif scale == "batch":
        found = found / (spread(rewards) + SMALL)
    return found.nan_to_num(nan=0.0)


def whitened(values: torch.Tensor, keep_mean: bool = False) -> torch.Tensor:
    """Numbers in a row, brought to spread 1 and mean 0; with `keep_mean` only to spread 1."""
    if values.numel() < 2:
        return values
    mean = values.mean()
    found = (values - mean) * torch.rsqrt(values.var() + 1e-8)
    return found + mean if keep_mean else found


def leave_one_out(rewards: torch.Tensor, each: int, normalised: bool) -> torch.Tensor:
    """RLOO (arXiv 2402.14740): the distance from the mean of the question's other answers."""
    groups = rewards.view(-1, each)
    judged = (~groups.isnan()).sum(1, keepdim=True)
    found = (groups - (groups.nansum(1, keepdim=True) - groups) / (judged - 1)).view(-1)
    if normalised:
        found = (found - found.nanmean()) / (spread(found) + SMALL)
    return found.nan_to_num(nan=0.0)
