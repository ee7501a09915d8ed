"""Learning what a teacher would say: on the rows' answers, on the student's own, or on the teacher's (GKD)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import torch

from engine.compute.data.questions import Answer, Asked
from engine.compute.training.batches import IGNORED, Batch
from engine.compute.training.divergence import summed_divergence
from engine.compute.training.loss import keeps_selected_logits, next_token_targets
from engine.compute.training.objectives import Filled, Objective, Told
from engine.compute.training.rollouts import Sampler
from engine.contract.teacher import TeacherConfig

BETA = {"forward_kl": 0.0, "reverse_kl": 1.0}
"""What the other losses are by the generalised divergence."""
TEACHERS = 1 << 40
"""Steps by which the chance of the teacher's answers is apart from that of the student's."""


class Teacher:
    """A frozen model that is asked what comes next."""

    def __init__(self, model: Any, width: int) -> None:
        """`width`: tokens that both vocabularies have; what stands behind them fills the matrix only."""
        self.model, self.width = model.eval().requires_grad_(False), width
        self._selective = keeps_selected_logits(model)

    @property
    def bytes(self) -> int:
        """Of its weights."""
        return sum(one.numel() * one.element_size() for one in self.model.parameters())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """At the chosen places, in their order."""
        return _logits(self.model, ids, mask, self._selective)[:, : self.width]


class Distilled(Objective):
    """GKD (arXiv 2306.13649) with trl's arithmetic: the distance between two distributions at each answer's tokens."""

    tells = ("agreement", "own_answers", "answer_length", "answers_cut")
    settings = TeacherConfig()
    teacher: Teacher
    sampler: Sampler
    seed = 0
    longest = 1024
    """Tokens of a row, at most."""

    @property
    def beside_bytes(self) -> int:
        """Of the teacher."""
        return self.teacher.bytes

    @property
    def held_bytes(self) -> int:
        """Of the teacher."""
        return super().held_bytes + self.teacher.bytes

    def count(self, batch: Batch) -> int:
        """Learned tokens."""
        return int(next_token_targets(batch["labels"])[1].numel())

    def loss(self, model: Any, batch: Batch, selective: bool) -> tuple[torch.Tensor, Told]:
        """Summed over the tokens."""
        ids, labels = batch["input_ids"], batch["labels"]
        mask, targets = next_token_targets(labels)
        if targets.numel() == 0:
            nothing = sum(
                (p.sum() * 0.0 for p in model.parameters() if p.requires_grad), torch.zeros((), device=ids.device)
            )
            return nothing + torch.zeros((), device=ids.device), {}
        with self.autocast():
            theirs = self.teacher.logits(ids, mask)
        ours = _logits(model, ids, mask, selective)[:, : self.teacher.width]
        beta = BETA.get(self.kind, self.settings.beta)
        found = summed_divergence(ours, theirs, beta, self.settings.temperature)
        return found, {"agreement": (ours.detach().argmax(-1) == theirs.argmax(-1)).float()}

    # Answers that are sampled.

    def fill(self, model: Any, batches: list[Batch], step: int) -> Filled:
        """Some batches get answers of the student in place of the rows', and with `seq_kd` the others the teacher's."""
        if not batches or not self.settings.samples:
            return Filled(batches)
        chance = torch.Generator().manual_seed((self.seed * 1_000_003 + step) % (1 << 63))
        own = (torch.rand(len(batches), generator=chance) < self.settings.lmbda).tolist()
        made, answers = list(batches), list[Answer]()
        student = [place for place, chosen in enumerate(own) if chosen]
        teacher = [place for place, chosen in enumerate(own) if not chosen and self.settings.seq_kd]
        for speaker, places, at in ((model, student, step), (self.teacher.model, teacher, step + TEACHERS)):
            answers += self._answered(speaker, made, places, at)
        told = {"own_answers": torch.tensor([float(chosen) for chosen in own])}
        if answers:
            told["answer_length"] = torch.tensor([float(len(one.ids)) for one in answers])
            told["answers_cut"] = torch.tensor([float(not one.ended) for one in answers])
        return Filled(made, told, sum(len(one.ids) for one in answers))

    def _answered(self, speaker: Any, batches: list[Batch], places: Sequence[int], step: int) -> list[Answer]:
        """Sample to all rows of some batches at once, and put the batches made of that in their places."""
        asked = [prompts_of(batches[place]["labels"], batches[place]["input_ids"]) for place in places]
        rows = [prompt for found in asked for prompt in found if prompt is not None]
        if not rows:
            return []
        room = self.rollouts.max_tokens
        with self.autocast():
            answers = self.sampler.sample(
                speaker, [Asked(array("i", ids), (), None, room=room) for ids in rows], 1, step
            )
        waiting = iter(answers)
        for place, found in zip(places, asked, strict=True):
            given = [None if prompt is None else next(waiting).ids for prompt in found]
            batches[place] = self._sequences(batches[place], found, given)
        return answers

    def _sequences(
        self, batch: Batch, prompts: Sequence[list[int] | None], answers: Sequence[list[int] | None]
    ) -> Batch:
        """Questions with their new answers, filled at the right; rows without a question stay as they were."""
        rows = list[tuple[list[int], list[int]]]()
        for place, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            if prompt is None or answer is None:
                rows.append((batch["input_ids"][place].tolist(), batch["labels"][place].tolist()))
                continue
            kept = answer[: max(1, self.longest - len(prompt))]
            rows.append((prompt + kept, [IGNORED] * len(prompt) + kept))
        width = max(len(ids) for ids, _ in rows)
        filled = [(ids + [0] * (width - len(ids)), row + [IGNORED] * (width - len(row))) for ids, row in rows]
        return {
            "input_ids": torch.tensor([ids for ids, _ in filled], device=batch["input_ids"].device),
            "labels": torch.tensor([row for _, row in filled], device=batch["labels"].device),
        }

    def fullest(self, batch: Batch) -> Batch:
        """With answers of the longest kind, where such are sampled and are longer than the rows'."""
        if not self.settings.samples:
            return batch
        prompts, room = prompts_of(batch["labels"], batch["input_ids"]), self.rollouts.max_tokens
        longest = self._sequences(batch, prompts, [None if prompt is None else [1] * room for prompt in prompts])
        return longest if longest["labels"].shape[1] > batch["labels"].shape[1] else batch


def prompts_of(labels: torch.Tensor, ids: torch.Tensor) -> list[list[int] | None]:
    """Of each row what stands before its last answer; None where it has no answer or nothing before it."""
    return [_prompt(row, tokens) for row, tokens in zip((labels != IGNORED).tolist(), ids.tolist(), strict=True)]


def _prompt(learned: Sequence[bool], ids: list[int]) -> list[int] | None:
    last = max((place for place, here in enumerate(learned) if here), default=0)
    begin = next((place + 1 for place in range(last, -1, -1) if not learned[place]), 0)
    return ids[:begin] if 0 < begin <= last else None


def _logits(model: Any, ids: torch.Tensor, mask: torch.Tensor, selective: bool) -> torch.Tensor:
    if not selective:
        return torch.as_tensor(model(input_ids=ids, use_cache=False).logits[mask])
    logits = model(input_ids=ids, logits_to_keep=mask, use_cache=False).logits
    return torch.as_tensor(logits.reshape(-1, logits.shape[-1]))
