"""Learning from rewards for its own answers: GRPO and its kin, and RLOO, with trl's arithmetic."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.data.questions import Answer, Asked
from engine.compute.inference.mode import at_rest
from engine.compute.training.advantages import group_advantages, leave_one_out, spread
from engine.compute.training.batches import IGNORED, Batch, rows_of
from engine.compute.training.likelihoods import answer_likelihoods
from engine.compute.training.objectives import Filled, Objective, Told
from engine.compute.training.rewards.judge import Judge, Scores
from engine.compute.training.rollouts import Sampler
from engine.contract.objective import ObjectiveConfig
from engine.contract.rollouts import RolloutConfig
from engine.contract.stages import Stage

KEPT = "rollouts.safetensors"
BY_TOKENS = ("dapo", "cispo", "ppo")
"""Losses that are means over all tokens of the step."""
SAPO = (1.0, 1.05)
"""Temperatures of SAPO for answers that are worth more, and less, than the others; trl's."""
Keep = Callable[[int, Sequence[Asked], Sequence[Answer], Scores, Sequence[float], Sequence[float]], None]


class Online(Objective):
    """Questions come in, answers are sampled and judged, and these are learned from."""

    tells: tuple[str, ...] = (
        "reward",
        "reward_std",
        "kl",
        "clip_ratio",
        "entropy",
        "answer_length",
        "answers_cut",
        "groups_alike",
    )
    sampler: Sampler
    judge: Judge
    keep: Keep = staticmethod(lambda *_: None)
    """Is shown the answers of each step in which new ones are sampled."""
    _held: list[Batch] | None = None

    def __init__(self, stage: Stage, config: ObjectiveConfig, rollouts: RolloutConfig = RolloutConfig()) -> None:
        super().__init__(stage, config, rollouts)
        self.iterations = rollouts.iterations if "iterations" in stage.rollouts else 1

    @property
    def held_bytes(self) -> int:
        """Also of reward models."""
        return super().held_bytes + self.judge.held_bytes

    @property
    def beside_bytes(self) -> int:
        """Of reward models."""
        return self.judge.held_bytes

    # Sampling.

    def fill(self, model: Any, batches: list[Batch], step: int) -> Filled:
        """The answers to the questions in batches, judged; or those of the step before once more."""
        if not batches:
            return Filled(batches)
        if step % self.iterations and self._held is not None:
            return Filled(self._held)
        each, questions = self.rollouts.answers, [list[Asked](batch["asked"]) for batch in batches]
        asked = [row for rows in questions for row in rows]
        with self.autocast():
            answers = self.sampler.sample(model, asked, each, step)
        scores = self.judge.score(asked, answers)
        totals, told = self._less_unended(self.judge.total(scores), answers), dict[str, torch.Tensor]()
        rewards = torch.tensor(totals, dtype=torch.float32, device=model.device)
        made, worth = self.learned(model, questions, answers, rewards, told)
        told |= self._told(rewards, scores, answers)
        self.keep(step + 1, asked, answers, scores, totals, worth.tolist())
        self._held = made if self.iterations > 1 else None
        return Filled(made, told, sum(len(row.ids) * each for row in asked) + sum(len(one.ids) for one in answers))

    @abstractmethod
    def learned(
        self,
        model: Any,
        questions: Sequence[Sequence[Asked]],
        answers: Sequence[Answer],
        rewards: torch.Tensor,
        told: dict[str, torch.Tensor],
    ) -> tuple[list[Batch], torch.Tensor]:
        """What each micro batch learns from, of the judged answers to its questions, and what each answer is worth."""

    def _less_unended(self, totals: list[float], answers: Sequence[Answer]) -> list[float]:
        """Answers that were cut are worth less, where that is asked for."""
        penalty = self.rollouts.missing_eos_penalty if "missing_eos_penalty" in self.stage.rollouts else None
        if penalty is None:
            return totals
        return [total if one.ended else total - penalty for total, one in zip(totals, answers, strict=True)]

    def _sequences(self, device: torch.device, asked: Sequence[Asked], answers: Sequence[Answer]) -> Batch:
        """Questions with their answers, filled at the right; labels stand where something is learned."""
        each = len(answers) // max(1, len(asked))
        rows = [(list(asked[place // each].ids), one) for place, one in enumerate(answers)]
        width = max(len(ids) + len(one.ids) for ids, one in rows)
        made = torch.full((len(rows), width), 0, dtype=torch.long)
        labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
        for place, (ids, one) in enumerate(rows):
            end = len(ids) + len(one.ids)
            made[place, :end] = torch.tensor(ids + one.ids)
            if one.ended or not self.rollouts.mask_truncated:
                labels[place, len(ids) : end] = torch.tensor(one.ids)
        return {"input_ids": made.to(device), "labels": labels.to(device)}

    def asked_of(self, model: Any, batches: list[Batch], whom: str) -> list[torch.Tensor]:
        """Log-likelihoods of all tokens by the model as it is (`old`), or by the base model (`ref`)."""

        def ask(asked: Any) -> list[torch.Tensor]:
            with torch.no_grad(), self.autocast():
                return [self._in_parts(asked, batch) for batch in batches]

        self._selective = self.selects(model)
        with at_rest(model):
            if whom == "ref":
                assert self.reference is not None
                found: list[torch.Tensor] = self.reference(model, ask)
                return found
            return ask(model)

    _selective = False

    def _in_parts(self, model: Any, batch: Batch) -> torch.Tensor:
        """As many rows at once as learn at once."""
        size, pieces = max(1, self.at_once), list[torch.Tensor]()
        for at in range(0, rows_of(batch), size):
            ids, labels = batch["input_ids"][at : at + size], batch["labels"][at : at + size]
            pieces.append(answer_likelihoods(model, ids, labels, self._selective, self.rollouts.temperature)[0])
        return torch.cat(pieces)

    at_once = 64
    """Rows that pass through the model together."""

    def _told(self, rewards: torch.Tensor, scores: Scores, answers: Sequence[Answer]) -> dict[str, torch.Tensor]:
        groups = rewards.view(-1, self.rollouts.answers)
        told = {
            "reward": rewards[~rewards.isnan()], "reward_std": spread(rewards).nan_to_num(nan=0.0)[None],
            "groups_alike": torch.isclose(spread(groups, 1), torch.zeros(len(groups), device=groups.device)).float(),
            "answer_length": torch.tensor([float(len(one.ids)) for one in answers]),
            "answers_cut": torch.tensor([float(not one.ended) for one in answers]),
        }  # fmt: skip
        return told | {f"rewards/{name}": _numbers(values) for name, values in scores.items()}

    # Measuring.

    def measure(self, model: Any, batches: Iterable[Batch]) -> tuple[float, dict[str, float]]:
        """The mean reward of the likeliest answers; as a loss it is negative, so that lower is better."""
        totals, found = list[float](), dict[str, list[float]]()
        for batch in batches:
            asked = list[Asked](batch["asked"])
            with self.autocast():
                answers = self.sampler.sample(model, asked, 1, greedy=True)
            scores = self.judge.score(asked, answers)
            totals += [total for total in self.judge.total(scores) if not math.isnan(total)]
            for name, values in scores.items():
                found.setdefault(f"rewards/{name}", []).extend(value for value in values if value is not None)
        means = {name: sum(values) / len(values) for name, values in {"reward": totals, **found}.items() if values}
        return -means.get("reward", 0.0), means

    # State.

    def save(self, folder: Path) -> None:
        """Answers that are to be learned from once more."""
        if self._held is None:
            return
        tensors = {f"{n}.{name}": tensor.cpu() for n, batch in enumerate(self._held) for name, tensor in batch.items()}
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, str(folder / KEPT))

    def load(self, folder: Path) -> None:
        """As `save` left them."""
        self._held = None
        if not (folder / KEPT).is_file():
            return
        held = dict[int, Batch]()
        for key, tensor in load_file(str(folder / KEPT)).items():
            number, _, name = key.partition(".")
            held.setdefault(int(number), {})[name] = tensor
        self._held = [held[number] for number in sorted(held)]


class Weighed(Online):
    """All answers to a question are learned from, each by what it is worth."""

    def __init__(self, stage: Stage, config: ObjectiveConfig, rollouts: RolloutConfig = RolloutConfig()) -> None:
        super().__init__(stage, config, rollouts)
        self.answers = rollouts.answers

    def count(self, batch: Batch) -> int:
        """Tokens or answers; nothing where nothing is learned of any."""
        learned = int((batch["labels"][:, 1:] != IGNORED).sum())
        return learned if self.kind in BY_TOKENS or not learned else rows_of(batch)

    def learned(
        self,
        model: Any,
        questions: Sequence[Sequence[Asked]],
        answers: Sequence[Answer],
        rewards: torch.Tensor,
        told: dict[str, torch.Tensor],
    ) -> tuple[list[Batch], torch.Tensor]:
        """Every answer, with its worth as `advantages`."""
        made, at = list[Batch](), 0
        for rows in questions:
            count = len(rows) * self.answers
            made.append(self._weighed(model.device, rows, answers[at : at + count]))
            at += count
        worth = self.look_back(model, made, rewards, told)
        for batch, part in zip(made, worth.split([rows_of(batch) for batch in made]), strict=True):
            batch.setdefault("advantages", part)  # unless each token has its own
        return made, worth

    def _bounds(self) -> tuple[float, float]:
        low, high = self.rollouts.epsilon, self.rollouts.epsilon_high
        return low, low if high is None else high

    def _weighed(self, device: torch.device, asked: Sequence[Asked], answers: Sequence[Answer]) -> Batch:
        """With what each token of a row weighs."""
        made = self._sequences(device, asked, answers)
        return {**made, "weights": self.weights((made["labels"] != IGNORED).sum(1)).to(device)}

    @abstractmethod
    def weights(self, learned: torch.Tensor) -> torch.Tensor:
        """What each token of a row weighs in the sum, from how many tokens of each row of a batch are learned."""

    @abstractmethod
    def look_back(
        self, model: Any, batches: list[Batch], rewards: torch.Tensor, told: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """What each answer is worth; likelihoods that the loss compares with go into the batches."""

    def fullest(self, batch: Batch) -> Batch:
        """Answers of the longest kind, to see what memory they take; what they say does not matter."""
        asked = list[Asked](batch["asked"])
        answers = [Answer([1] * row.room, "", True) for row in asked for _ in range(self.answers)]
        made = self._weighed(torch.device("cpu"), asked, answers)
        made["advantages"] = torch.ones(rows_of(made))
        for name, wanted in (("old", self.iterations > 1), ("ref", self.rollouts.beta > 0)):
            if wanted:
                made[name] = torch.zeros(made["labels"].shape)
        return made


class Group(Weighed):
    """GRPO (arXiv 2402.03300) with the losses trl knows; compared by whole answers it is GSPO (arXiv 2507.18071)."""

    def weights(self, learned: torch.Tensor) -> torch.Tensor:
        """So that the sum over all tokens, by `count`, is trl's mean."""
        rows, clamped = len(learned), learned.clamp(min=1).float()
        if self.kind in ("grpo", "sapo"):
            return 1 / clamped
        if self.kind == "bnpo":
            return torch.full((rows,), rows / max(1.0, float(learned.sum())))
        if self.kind == "dr_grpo":
            return torch.full((rows,), 1 / self.rollouts.max_tokens)
        return torch.ones(rows)

    def look_back(
        self, model: Any, batches: list[Batch], rewards: torch.Tensor, told: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """By group; the model as it is stands for itself at the first of several steps."""
        del told
        for whom, wanted in (("old", self.iterations > 1), ("ref", self.rollouts.beta > 0)):
            if wanted:
                for batch, found in zip(batches, self.asked_of(model, batches, whom), strict=True):
                    batch[whom] = found
        return group_advantages(rewards, self.rollouts.answers, self.rollouts.scale_rewards)

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over tokens."""
        config, labels = self.rollouts, batch["labels"]
        found, entropy = answer_likelihoods(model, batch["input_ids"], labels, selective, config.temperature)
        mask = learned_places(labels)
        ratio = found - batch.get("old", found.detach())
        if config.importance == "sequence":
            ratio = ((ratio * mask).sum(1) / mask.sum(1).clamp(min=1.0))[:, None]
        weight, worth = ratio.exp(), batch["advantages"][:, None]
        losses = self._losses(weight, worth, found)
        told = {"entropy": entropy, "clip_ratio": self._clipped(weight, worth).expand_as(mask)[mask.bool()]}
        if config.beta:
            gap = batch["ref"] - found
            drift = (gap.exp() - gap - 1) * weight  # by trl's default, for a gradient that is not biased
            losses = losses + config.beta * drift
            told["kl"] = drift[mask.bool()]
        return (losses * mask * batch["weights"][:, None]).sum(), told

    def _losses(self, weight: torch.Tensor, worth: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        low, high = self._bounds()
        if self.kind == "cispo":
            return -weight.clamp(max=high).detach() * worth * found
        if self.kind == "sapo":
            temperature = torch.where(worth > 0, *(torch.tensor(one, device=worth.device) for one in SAPO))
            return -torch.sigmoid(temperature * (weight - 1)) * 4 / temperature * worth
        return -torch.min(weight * worth, weight.clamp(1 - low, 1 + high) * worth)

    def _clipped(self, weight: torch.Tensor, worth: torch.Tensor) -> torch.Tensor:
        low, high = self._bounds()
        if self.kind == "cispo":
            return ((weight > high) & (worth > 0)).detach().float()
        return (((weight < 1 - low) & (worth < 0)) | ((weight > 1 + high) & (worth > 0))).detach().float()


class LeaveOneOut(Weighed):
    """RLOO (arXiv 2402.14740): whole answers, each against the others; drift from the base model lowers the reward."""

    def weights(self, learned: torch.Tensor) -> torch.Tensor:
        """All alike."""
        return torch.ones(len(learned))

    def look_back(
        self, model: Any, batches: list[Batch], rewards: torch.Tensor, told: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """The mean of the others, after the drift was taken off."""
        beta, iterations = self.rollouts.beta, self.iterations
        old = self.asked_of(model, batches, "old") if beta or iterations > 1 else []
        if iterations > 1:
            for batch, found in zip(batches, old, strict=True):
                batch["old"] = found
        if beta:
            theirs = self.asked_of(model, batches, "ref")
            drift = torch.cat([
                ((ours - other) * learned_places(batch["labels"])).sum(1)
                for batch, ours, other in zip(batches, old, theirs, strict=True)
            ])  # fmt: skip
            told["kl"] = drift
            rewards = rewards - beta * drift
        return leave_one_out(rewards, self.rollouts.answers, self.rollouts.normalize_advantages)

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over answers."""
        config, labels, worth = self.rollouts, batch["labels"], batch["advantages"]
        found, entropy = answer_likelihoods(model, batch["input_ids"], labels, selective, config.temperature)
        mask = learned_places(labels)
        ours = (found * mask).sum(1)
        weight = (ours - (batch["old"] * mask).sum(1) if "old" in batch else ours - ours.detach()).exp()
        low, high = config.epsilon, config.epsilon if config.epsilon_high is None else config.epsilon_high
        losses = -torch.min(weight * worth, weight.clamp(1 - low, 1 + high) * worth)
        clipped = ((weight < 1 - low) & (worth < 0)) | ((weight > 1 + high) & (worth > 0))
        return losses.sum(), {"entropy": entropy, "clip_ratio": clipped.float()}


def learned_places(labels: torch.Tensor) -> torch.Tensor:
    """1 at each place that predicts a token that is learned."""
    return F.pad((labels != IGNORED)[:, 1:], (0, 1)).float()


def _numbers(values: Sequence[float | None]) -> torch.Tensor:
    return torch.tensor([value for value in values if value is not None], dtype=torch.float32)
