"""The most likely answers to many prompts: through the engine, or where it cannot through transformers' own loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from engine.compute.inference.engine.requests import Sampling
from engine.compute.inference.mode import at_rest
from engine.compute.inference.offline import BATCH_TOKENS, answered, fits

MAX_BATCH = 64


class Interruption(StoppingCriteria):  # type: ignore[misc]
    """Asks at every token whether to go on."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def __call__(self, input_ids: torch.Tensor, scores: Any, **rest: Any) -> torch.Tensor:
        """Never ends a row by itself; `check` raises to end all."""
        del scores, rest
        self._check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


class Generator:
    """Answers prompts, the most likely token each time, up to the template's, tokenizer's or model's stop."""

    def __init__(self, model: Any, tokenizer: Any, stops: Sequence[int] = ()) -> None:
        self.model, self.tokenizer = model, tokenizer
        ends = {tokenizer.eos_token_id, *stops}
        known = model.generation_config.eos_token_id
        ends |= set(known) if isinstance(known, list) else {known}
        self.ends = sorted(end for end in ends if end is not None)
        learned = getattr(model, "peft_config", {}).get("default")
        self.alike = learned is not None and bool(learned.is_prompt_learning)
        """Only prompts of one length together: filling would stand between virtual tokens and the text."""
        pad = tokenizer.pad_token_id
        self.pad = pad if pad is not None else (self.ends[0] if self.ends else 0)

    def answers(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        progress: Callable[[float], None],
        check: Callable[[], None],
    ) -> list[str]:
        """What the model says to each prompt, in their order; `check` is called at every token and may raise."""
        encoded = [self.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        with at_rest(self.model):
            if encoded and all(encoded) and fits(self.model):
                greedy = Sampling(max_tokens=max_new_tokens, temperature=0)
                wanted = [(tokens, greedy) for tokens in encoded]
                found = answered(self.model, self.tokenizer, self.ends, wanted, MAX_BATCH, check, progress)
                return [self._text(tokens) for tokens in found]
            return self._by_batches(encoded, max_new_tokens, progress, check)

    def _by_batches(
        self, encoded: list[list[int]], max_new_tokens: int, progress: Callable[[float], None],
        check: Callable[[], None],
    ) -> list[str]:  # fmt: skip
        """Through transformers' own loop, for models that the engine cannot ask."""
        order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index]))
        answers, done = [""] * len(encoded), 0
        while done < len(order):
            width = max(1, len(encoded[order[done]]) + max_new_tokens)
            size = max(1, min(MAX_BATCH, BATCH_TOKENS // width))
            chosen = order[done : done + size]
            if self.alike:
                chosen = [index for index in chosen if len(encoded[index]) == len(encoded[chosen[0]])]
            texts = self._batch([encoded[n] for n in chosen], max_new_tokens, check)
            for index, text in zip(chosen, texts, strict=True):
                answers[index] = text
            done += len(chosen)
            progress(done / len(order))
        return answers

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _batch(self, prompts: list[list[int]], max_new_tokens: int, check: Callable[[], None]) -> list[str]:
        width = max(len(prompt) for prompt in prompts)
        device = self.model.device
        ids = torch.tensor([[self.pad] * (width - len(p)) + p for p in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
        given = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            use_cache=True,
            synced_gpus=False,  # one member alone asks the model
            pad_token_id=self.pad,
            eos_token_id=self.ends or None,
            stopping_criteria=[Interruption(check)],
        )
        return [self._text(row) for row in given[:, width:].tolist()]

    def _text(self, ids: list[int]) -> str:
        end = next((place for place, token in enumerate(ids) if token in self.ends), len(ids))
        return str(self.tokenizer.decode(ids[:end], skip_special_tokens=True))
