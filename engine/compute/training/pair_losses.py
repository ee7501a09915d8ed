"""The losses of preferences, one value a pair, as trl 1.16 computes them (trainer/dpo_trainer.py, experimental/cpo)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name


@dataclass(frozen=True)
class Compared:
    """Log-likelihoods of the answers of some pairs, less what the reference gives them."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    reference_gap: torch.Tensor
    """What the reference gives the better answer over the worse one."""
    lengths: tuple[torch.Tensor, torch.Tensor]
    """Tokens of each answer."""

    @property
    def gap(self) -> torch.Tensor:
        """The better answer over the worse one."""
        return self.chosen - self.rejected


@dataclass(frozen=True)
class Weights:
    """The numbers a loss takes."""

    beta: float
    smoothing: float = 0.0
    tau: float = 0.05


def direct(kind: str, found: Compared, by: Weights) -> torch.Tensor:
    """The loss of DPO of that name; 'ipo' is of means over tokens, as trl has it, not of sums as the paper writes."""
    beta, scaled = by.beta, by.beta * found.gap
    chosen, rejected = beta * found.chosen, beta * found.rejected
    match kind:
        case "sigmoid":
            return _smoothed(scaled, by.smoothing)
        case "hinge":
            return torch.relu(1 - scaled)
        case "ipo":
            return (_gap_of_means(found) - 1 / (2 * beta)) ** 2
        case "sigmoid_norm":
            return -F.logsigmoid(beta * _gap_of_means(found))
        case "exo_pair":
            return _exo(scaled, by.smoothing)
        case "nca_pair":
            return -F.logsigmoid(chosen) - 0.5 * F.logsigmoid(-chosen) - 0.5 * F.logsigmoid(-rejected)
        case "robust":
            clean = -(1 - by.smoothing) * F.logsigmoid(scaled)
            return (clean + by.smoothing * F.logsigmoid(-scaled)) / (1 - 2 * by.smoothing)
        case "bco_pair":
            return -F.logsigmoid(chosen) - F.logsigmoid(-rejected)
        case "sppo_hard":
            return (found.chosen - 0.5 / beta) ** 2 + (found.rejected + 0.5 / beta) ** 2
        case "aot":
            ours, theirs = torch.sort(found.gap + found.reference_gap)[0], torch.sort(found.reference_gap)[0]
            return _smoothed(beta * (ours - theirs), by.smoothing)
        case "aot_unpaired":
            return _smoothed(beta * (torch.sort(found.chosen)[0] - torch.sort(found.rejected)[0]), by.smoothing)
        case "apo_zero":
            return 1 - torch.sigmoid(chosen) + torch.sigmoid(rejected)
        case "apo_down":
            return torch.sigmoid(chosen) + 1 - torch.sigmoid(scaled)
        case "discopop":
            mixed = torch.sigmoid(scaled / by.tau)
            return -F.logsigmoid(scaled) * (1 - mixed) + torch.exp(-scaled) * mixed
    raise ValueError(f"no loss is called {kind}")


def contrastive(kind: str, gap: torch.Tensor, by: Weights, gamma: float = 0.0) -> torch.Tensor:
    """The losses of CPO and SimPO, of the better answer's likelihood over the worse one's."""
    match kind:
        case "sigmoid":
            return _smoothed(by.beta * gap, by.smoothing)
        case "simpo":
            return _smoothed(by.beta * gap - gamma, by.smoothing)
        case "hinge":
            return torch.relu(1 - by.beta * gap)
        case "ipo":
            return (gap - 1 / (2 * by.beta)) ** 2
    raise ValueError(f"no loss is called {kind}")


def odds_ratio(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Log of the odds of the better answer over those of the worse one (ORPO), of mean log-likelihoods."""
    return (chosen - rejected) - (_log_not(chosen) - _log_not(rejected))


def _smoothed(scaled: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Some of the pairs may be the wrong way round."""
    return -F.logsigmoid(scaled) * (1 - smoothing) - F.logsigmoid(-scaled) * smoothing


def _gap_of_means(found: Compared) -> torch.Tensor:
    """Both answers by token."""
    chosen, rejected = (length.clamp(min=1) for length in found.lengths)
    return found.chosen / chosen - found.rejected / rejected


def _exo(scaled: torch.Tensor, smoothing: float) -> torch.Tensor:
    wrong = torch.tensor(smoothing, device=scaled.device)
    better = torch.sigmoid(scaled) * (F.logsigmoid(scaled) - torch.log1p(-wrong))
    return better + torch.sigmoid(-scaled) * (F.logsigmoid(-scaled) - torch.log(wrong))


def _log_not(likelihood: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) for x below 0 (Mächler 2012), near 0 with all its digits."""
    low = torch.log1p(-torch.exp(likelihood.clamp(max=-0.6931)))
    high = torch.log(-torch.expm1(likelihood.clamp(min=-0.6931)))
    return torch.where(likelihood < -0.6931, low, high)
