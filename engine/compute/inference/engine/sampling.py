"""Choosing the next token of each row: penalties, then temperature, then what is left out, then chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from engine.compute.inference.engine.requests import Likely, Sampling

COLDEST = 1e-5
"""Logits divided by less are no numbers any more."""

MOST = 1e30
"""Of a logit that penalties have changed; more would be infinite once it is divided by the temperature."""


@dataclass
class Chooser:
    """Of one request: what was said, and its own chance."""

    sampling: Sampling
    prompt: Sequence[int]
    said: list[int] = field(default_factory=list)
    _chance: torch.Generator | None = None

    @property
    def plain(self) -> bool:
        """The most likely token is taken as it is."""
        asked = self.sampling
        changed = asked.repetition != 1.0 or asked.presence or asked.frequency or asked.bias or asked.shape is not None
        return asked.temperature == 0 and asked.logprobs is None and not changed

    def take(self, token: int) -> tuple[int, float | None, tuple[Likely, ...]]:
        """This one, as `choose` has it."""
        self.said.append(token)
        return token, None, ()

    def choose(
        self, logits: torch.Tensor, allowed: torch.Tensor | None = None
    ) -> tuple[int, float | None, tuple[Likely, ...]]:
        """The next token of these logits ([words]), its log-probability, and the likeliest others if wished.

        Log-probabilities are those of the model, before anything here changes them. `allowed` is true where a token
        may come at all.
        """
        asked = self.sampling
        logits = logits.float()
        told = torch.log_softmax(logits, -1) if asked.logprobs is not None else None
        logits = self._penalised(logits)
        if allowed is not None:  # at the end: what was infinite before may be no number after it
            logits = logits.masked_fill(~allowed, float("-inf"))
        token = int(logits.argmax()) if asked.temperature == 0 else self._drawn(logits)
        self.said.append(token)
        if told is None:
            return token, None, ()
        best = told.topk(min(asked.logprobs or 0, told.numel()))
        others = tuple(Likely(int(one), float(value)) for one, value in zip(best.indices, best.values, strict=True))
        return token, float(told[token]), others

    def _penalised(self, logits: torch.Tensor) -> torch.Tensor:
        asked = self.sampling
        if asked.repetition != 1.0:
            known = torch.tensor(sorted({*self.prompt, *self.said}), device=logits.device)
            if len(known):
                values = logits[known]
                logits = logits.clone()
                logits[known] = torch.where(values > 0, values / asked.repetition, values * asked.repetition)
        if (asked.presence or asked.frequency) and self.said:
            said, counts = torch.tensor(self.said, device=logits.device).unique(return_counts=True)
            logits = logits.clone()
            logits[said] -= asked.presence + asked.frequency * counts
        if asked.bias:
            logits = logits.clone()
            tokens = torch.tensor([token for token, _ in asked.bias], device=logits.device)
            logits[tokens] += torch.tensor([value for _, value in asked.bias], device=logits.device)
        return logits.clamp(-MOST, MOST)

    def _drawn(self, logits: torch.Tensor) -> int:
        asked = self.sampling
        logits = logits / max(asked.temperature, COLDEST)
        if 0 < asked.top_k < logits.numel():
            logits = logits.masked_fill(logits < logits.topk(asked.top_k).values[-1], float("-inf"))
        chances = torch.softmax(logits, -1)
        if asked.min_p > 0:
            chances = torch.where(chances >= asked.min_p * chances.max(), chances, chances.new_zeros(()))
        if asked.top_p < 1:
            chances = _nucleus(chances, asked.top_p)
        summed = chances.double().cumsum(-1)
        number = torch.tensor([self._number()], dtype=torch.double, device=summed.device) * summed[-1]
        return min(int(torch.searchsorted(summed, number, right=True)), _last(chances))

    def _number(self) -> float:
        """In [0, 1): the answer's own, whatever stands beside it in a batch and on whatever device."""
        if self._chance is None:
            self._chance = torch.Generator()
            if self.sampling.seed is None:
                self._chance.seed()
            else:
                self._chance.manual_seed(self.sampling.seed)
        return float(torch.rand(1, generator=self._chance))


def _last(chances: torch.Tensor) -> int:
    """The last token that may come: rounding must not lead beyond it."""
    return int(chances.nonzero()[-1])


def _nucleus(chances: torch.Tensor, share: float) -> torch.Tensor:
    """Only the most likely ones that have this share of all together; the one that reaches it stays."""
    ordered, places = chances.sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where(before < share * ordered.sum(), ordered, ordered.new_zeros(()))
    kept[0] = ordered[0]  # also of a share that is nearly nothing
    return torch.empty_like(chances).scatter_(0, places, kept)
