"""PPO: a clipped step on own answers, each token weighed by what it turned out better than a critic thought.

Proximal policy optimisation (arXiv 1707.06347) with generalised advantages (arXiv 1506.02438), as InstructGPT does it
(arXiv 2203.02155): the reward stands at the answer's last token, and each token pays for its drift from the base model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engine.compute.inference.mode import at_rest
from engine.compute.training.advantages import whitened
from engine.compute.training.batches import IGNORED, Batch, rows_of
from engine.compute.training.likelihoods import answer_likelihoods
from engine.compute.training.objectives import Filled, Told
from engine.compute.training.online import Weighed, learned_places

HEAD = "critic.safetensors"
CRITIC = ("old", "values", "returns", "advantages")
"""What a batch has of each token, beside the reference's likelihood."""


class Critic:
    """How much reward is still to come: a line through the policy's last hidden state, which begins at 0."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(1, width + 1, device=device))
        """The last number is the line's height at 0."""

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of each state one value, in fp32."""
        with torch.autocast(hidden.device.type, enabled=False):
            return hidden.float() @ self.weight[0, :-1] + self.weight[0, -1]


class Proximal(Weighed):
    """PPO with the critic on the policy's own body."""

    tells = (*Weighed.tells, "value_loss")
    critic: Critic

    def meet(self, model: Any) -> None:
        """The critic takes states as wide as the model's."""
        self.critic = Critic(int(model.config.get_text_config().hidden_size), model.device)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The critic's."""
        return [self.critic.weight]

    def weights(self, learned: torch.Tensor) -> torch.Tensor:
        """All alike."""
        return torch.ones(len(learned))

    def fill(self, model: Any, batches: list[Batch], step: int) -> Filled:
        """The trainer takes the gradients of its own model away before a step; those of the critic go here."""
        self.critic.weight.grad = None
        return super().fill(model, batches, step)

    def look_back(
        self, model: Any, batches: list[Batch], rewards: torch.Tensor, told: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """The worth of each token goes into the batches; that of an answer is the mean of its tokens'."""
        shares = rewards.split([rows_of(batch) for batch in batches])
        for batch, share in zip(batches, shares, strict=True):
            batch["labels"][share.isnan()] = IGNORED
        self._ask(model, batches)
        drifts = list[torch.Tensor]()
        for batch, share in zip(batches, shares, strict=True):
            mask = learned_places(batch["labels"])
            drift = (batch["old"] - batch["ref"]) * mask if "ref" in batch else torch.zeros_like(mask)
            drifts.append(drift.sum(1))
            batch["rewards"] = token_rewards(share.nan_to_num(nan=0.0), drift, mask, self.rollouts.beta)
        if self.rollouts.beta:
            told["kl"] = torch.cat(drifts)
        if self.rollouts.whiten_rewards:
            self._whiten(batches, "rewards", keep_mean=True)
        for batch in batches:
            mask = learned_places(batch["labels"])
            batch["advantages"] = generalised_advantages(
                batch.pop("rewards"), batch["values"], mask, self.rollouts.gamma, self.rollouts.gae_lambda
            )
            batch["returns"] = batch["advantages"] + batch["values"]
        self._whiten(batches, "advantages")
        return torch.cat([
            batch["advantages"].sum(1) / learned_places(batch["labels"]).sum(1).clamp(min=1) for batch in batches
        ])  # fmt: skip

    def _ask(self, model: Any, batches: list[Batch]) -> None:
        """What policy, critic and base model say of the answers before anything is learned of them."""
        self._selective = self.selects(model)
        with torch.no_grad(), self.autocast(), at_rest(model):
            for batch in batches:
                size, pieces = max(1, self.at_once), list[tuple[torch.Tensor, torch.Tensor]]()
                for at in range(0, rows_of(batch), size):
                    part = {name: batch[name][at : at + size] for name in ("input_ids", "labels")}
                    found, values, _entropy = self._looked(model, part, self._selective)
                    pieces.append((found, values))
                batch["old"], batch["values"] = (torch.cat(found) for found in zip(*pieces, strict=True))
        if self.rollouts.beta:
            for batch, found in zip(batches, self.asked_of(model, batches, "ref"), strict=True):
                batch["ref"] = found

    def _looked(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-likelihoods and values at the places that predict a learned token, and the entropies in a row."""
        ids, labels = batch["input_ids"], batch["labels"]
        mask = learned_places(labels).bool()
        with states(model) as seen:
            found, entropy = answer_likelihoods(model, ids, labels, selective, self.rollouts.temperature)
        values = torch.zeros(mask.shape, device=ids.device)
        if seen and mask.any():
            hidden = seen[0]
            hidden = hidden[mask] if hidden.shape[:2] == mask.shape else hidden.reshape(-1, hidden.shape[-1])
            values = values.masked_scatter(mask, self.critic(hidden))
        return found, values, entropy

    def _whiten(self, batches: list[Batch], name: str, keep_mean: bool = False) -> None:
        """To spread 1 over all tokens of the step, and to mean 0 unless that is to be kept."""
        masks = [learned_places(batch["labels"]).bool() for batch in batches]
        found = whitened(torch.cat([batch[name][mask] for batch, mask in zip(batches, masks, strict=True)]), keep_mean)
        for batch, mask, part in zip(batches, masks, found.split([int(mask.sum()) for mask in masks]), strict=True):
            batch[name] = torch.zeros_like(batch[name]).masked_scatter(mask, part)

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over tokens: the policy's clipped loss, and with its weight the critic's."""
        found, values, entropy = self._looked(model, batch, selective)
        mask = learned_places(batch["labels"])
        low, high = self._bounds()
        weight, worth = (found - batch["old"]).exp(), batch["advantages"]
        policy = -torch.min(weight * worth, weight.clamp(1 - low, 1 + high) * worth)
        critic = value_losses(values, batch["values"], batch["returns"], self.rollouts.value_clip)
        losses = (policy + self.rollouts.value_coef * critic) * mask
        clipped = ((weight < 1 - low) & (worth < 0)) | ((weight > 1 + high) & (worth > 0))
        inside = mask.bool()
        told = {"clip_ratio": clipped.float()[inside], "entropy": entropy, "value_loss": critic.detach()[inside]}
        return losses.sum(), told

    def fullest(self, batch: Batch) -> Batch:
        """With what a step has of each token."""
        made = super().fullest(batch)
        shape = made["labels"].shape
        return {**made, **{name: torch.zeros(shape) for name in CRITIC}}

    # State.

    def save(self, folder: Path) -> None:
        """The critic too."""
        super().save(folder)
        save_file({"weight": self.critic.weight.detach().cpu().contiguous()}, str(folder / HEAD))

    def load(self, folder: Path) -> None:
        """As `save` left it."""
        super().load(folder)
        self.go_back(folder)

    def go_back(self, folder: Path) -> None:
        """The critic as in a checkpoint."""
        with torch.no_grad():
            self.critic.weight.copy_(load_file(str(folder / HEAD))["weight"])


@contextmanager
def states(model: Any) -> Iterator[list[torch.Tensor]]:
    """Inside: what the matrix of words was given in each pass, which is the last hidden state."""
    seen = list[torch.Tensor]()
    words = (model.module if hasattr(model, "module") else model).get_output_embeddings()
    handle = words.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        handle.remove()


def token_rewards(rewards: torch.Tensor, drift: torch.Tensor, mask: torch.Tensor, beta: float) -> torch.Tensor:
    """What each token earns: the answer's reward at its last one, less the drift at each."""
    last = mask * (mask.flip(1).cumsum(1).flip(1) == 1)
    return rewards[:, None] * last - beta * drift * mask


def generalised_advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float
) -> torch.Tensor:
    """GAE (arXiv 1506.02438, eq. 16) of each row from its end; places outside the mask have none and end an answer."""
    found, later, ahead = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0]), torch.zeros_like(rewards[:, 0])
    for place in range(rewards.shape[1] - 1, -1, -1):
        here = mask[:, place]
        gain = rewards[:, place] + gamma * ahead - values[:, place]
        later = (gain + gamma * lam * later) * here
        ahead = values[:, place] * here
        found[:, place] = later
    return found


def value_losses(values: torch.Tensor, before: torch.Tensor, returns: torch.Tensor, clip: float) -> torch.Tensor:
    """Half the squared error of the critic, the larger of the plain one and of that of a step of at most `clip`."""
    near = before + (values - before).clamp(-clip, clip)
    return 0.5 * torch.max((values - returns) ** 2, (near - returns) ** 2)
