"""Answers of the model that learns: sampled with a chance of their own, a function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from engine.compute.data.questions import Answer, Asked
from engine.compute.inference.generate import Generator, Interruption
from engine.compute.inference.mode import at_rest
from engine.contract.rollouts import RolloutConfig

PLACES = {"cpu": 16_384, "cuda": 131_072}
"""Tokens of one batch, filling and room for answers included."""


class Sampler:
    """Has the model answer questions, in batches filled at the left."""

    def __init__(
        self,
        config: RolloutConfig,
        tokenizer: Any,
        stops: Sequence[int],
        seed: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`stops`: tokens that end an answer beside the tokenizer's and the model's; `check` may raise."""
        self.config, self.tokenizer, self._stops = config, tokenizer, tuple(stops)
        self._seed, self._check = seed, check

    def sample(
        self, model: Any, asked: Sequence[Asked], each: int, step: int = 0, greedy: bool = False
    ) -> list[Answer]:
        """So many answers to each question, side by side; chance and the model's mode are afterwards as before."""
        generator = Generator(model, self.tokenizer, self._stops)
        rows = [row for row in asked for _ in range(each)]
        size = max(1, PLACES.get(model.device.type, PLACES["cpu"]) // max(map(len, rows), default=1))
        devices, answers = [model.device] if model.device.type == "cuda" else [], list[Answer]()
        with at_rest(model), torch.random.fork_rng(devices):
            torch.manual_seed((self._seed * 1_000_003 + step) % (1 << 63))
            for at in range(0, len(rows), size):
                answers += self._batch(generator, rows[at : at + size], greedy)
        return answers

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _batch(self, generator: Generator, rows: Sequence[Asked], greedy: bool) -> list[Answer]:
        width, model = max(len(row.ids) for row in rows), generator.model
        ids = torch.tensor([[generator.pad] * (width - len(row.ids)) + list(row.ids) for row in rows])
        mask = torch.tensor([[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows])
        given = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
            generation_config=self._settings(generator, greedy), stopping_criteria=[Interruption(self._check)],
        )  # fmt: skip
        return [self._answer(row, generator) for row in given[:, width:].tolist()]

    def _settings(self, generator: Generator, greedy: bool) -> GenerationConfig:
        config, chance = self.config, dict[str, Any]()
        if not greedy:
            chance = {"temperature": config.temperature, "top_p": config.top_p, "top_k": config.top_k}
        return GenerationConfig(
            max_new_tokens=config.max_tokens, do_sample=not greedy, use_cache=True, pad_token_id=generator.pad,
            eos_token_id=generator.ends or None, disable_compile=True, **chance,
        )  # fmt: skip

    def _answer(self, ids: list[int], generator: Generator) -> Answer:
        end = next((place for place, token in enumerate(ids) if token in generator.ends), None)
        kept = ids if end is None else ids[: end + 1]
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True))
        return Answer(kept, text, end is not None)
