"""Sampled answers, each with a chance of its own: `sample` is the one door to them, whatever generates behind it.

The chance of an answer is a number; from it come the numbers in [0, 1) that choose its tokens, one a token, by the
cumulated likelihoods. So an answer depends on its question, its chance and the model's figures, never on what stands
beside it in a batch or came before. The figures themselves differ in their last bits with the width of a batch: where
a number falls on the very border between two tokens, another batch size may give another answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.compute.data.questions import Answer
from engine.compute.inference.engine import requests
from engine.compute.inference.generate import Generator, Interruption
from engine.compute.inference.mode import at_rest
from engine.compute.inference.offline import answered, fits


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn."""

    max_tokens: int
    temperature: float = 1.0
    """0: the likeliest token each time."""
    top_p: float = 1.0
    top_k: int = 0
    batch_size: int = 16


def sample(
    generator: Generator,
    prompts: Sequence[Sequence[int]],
    chances: Sequence[int],
    how: Sampling,
    check: Callable[[], None],
) -> list[Answer]:
    """An answer to each prompt, given as tokens, by its own chance; `check` is called at every token and may raise."""
    answers: dict[int, Answer] = {}
    with at_rest(generator.model):
        if prompts and all(prompts) and fits(generator.model):
            wanted = [(prompt, _of_engine(how, chance)) for prompt, chance in zip(prompts, chances, strict=True)]
            model, tokenizer = generator.model, generator.tokenizer
            found = answered(model, tokenizer, generator.ends, wanted, how.batch_size, check)
            return [_answer(tokens, generator) for tokens in found]
        for places in _batches(generator, prompts, how.batch_size):
            made = _batch(generator, [prompts[at] for at in places], [chances[at] for at in places], how, check)
            answers.update(zip(places, made, strict=True))
    return [answers[at] for at in range(len(prompts))]


def _of_engine(how: Sampling, chance: int) -> requests.Sampling:
    return requests.Sampling(
        max_tokens=how.max_tokens, temperature=how.temperature, top_p=how.top_p, top_k=how.top_k, seed=chance
    )


def _batches(generator: Generator, prompts: Sequence[Sequence[int]], size: int) -> list[list[int]]:
    """Places in the order they came; where filling is not possible, only prompts of one length together."""
    if not generator.alike:
        return [list(range(at, min(at + size, len(prompts)))) for at in range(0, len(prompts), size)]
    lengths: dict[int, list[int]] = {}
    for at, prompt in enumerate(prompts):
        lengths.setdefault(len(prompt), []).append(at)
    return [places[at : at + size] for places in lengths.values() for at in range(0, len(places), size)]


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _batch(
    generator: Generator,
    prompts: Sequence[Sequence[int]],
    chances: Sequence[int],
    how: Sampling,
    check: Callable[[], None],
) -> list[Answer]:
    width, model, pad = max(map(len, prompts)), generator.model, generator.pad
    ids = torch.tensor([[pad] * (width - len(one)) + list(one) for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    drawing = [Drawing(chances, how, width, model.device)] if how.temperature > 0 else []
    settings = GenerationConfig(
        max_new_tokens=how.max_tokens, do_sample=False, use_cache=True, pad_token_id=pad,
        eos_token_id=generator.ends or None, disable_compile=True,
    )  # fmt: skip
    given = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings,
        logits_processor=LogitsProcessorList(drawing), stopping_criteria=[Interruption(check)], synced_gpus=False,
    )  # fmt: skip
    return [_answer(row, generator) for row in given[:, width:].tolist()]


def _answer(ids: list[int], generator: Generator) -> Answer:
    end = next((place for place, token in enumerate(ids) if token in generator.ends), None)
    kept = ids if end is None else ids[: end + 1]
    return Answer(kept, str(generator.tokenizer.decode(kept, skip_special_tokens=True)), end is not None)


class Drawing(LogitsProcessor):  # type: ignore[misc]
    """Leaves each row only the token that its own chance draws."""

    def __init__(self, chances: Sequence[int], how: Sampling, width: int, device: torch.device) -> None:
        """`width`: tokens of the prompts, by which the place in the answer is known."""
        drawn = [torch.rand(how.max_tokens, generator=torch.Generator().manual_seed(chance)) for chance in chances]
        self._numbers, self._width = torch.stack(drawn).to(device), width
        self._warpers: list[Any] = [TemperatureLogitsWarper(float(how.temperature))]
        if how.top_k > 0:
            self._warpers.append(TopKLogitsWarper(how.top_k))
        if how.top_p < 1:
            self._warpers.append(TopPLogitsWarper(how.top_p))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of which one token of each row is left."""
        scores = scores.float()
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        summed = scores.softmax(-1).double().cumsum(-1)
        number = self._numbers[:, input_ids.shape[1] - self._width].double()[:, None]
        drawn = torch.searchsorted(summed, number * summed[:, -1:], right=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn.clamp_max(scores.shape[1] - 1), 0.0)
