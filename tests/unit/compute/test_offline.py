"""Measuring, sampling and showing answers ask through the engine, and hear what transformers' own loop would say."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
import transformers as tf
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, MambaConfig, MambaForCausalLM

from engine.compute.inference import generate, offline, sampling
from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.inference.engine.engine import ArrowEngine
from engine.compute.inference.generate import Generator
from engine.compute.inference.sampling import Sampling, sample
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder

FOLDER = resources_folder() / "demo" / "model"
ASKED = (
    "Convert to an ISO date: 3 May 2021",
    "Hello",
    "What is 17 March 1999 as an ISO date?",
    "Hi there",
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(FOLDER)


@pytest.fixture
def model() -> Any:
    return load_model(FOLDER, torch.float32, "auto", torch.device("cpu"))


def prompts(tokenizer: Any, count: int = 12) -> list[str]:
    """Of several lengths."""
    texts = [ASKED[number % len(ASKED)] + "." * (number % 3) for number in range(count)]
    return [
        tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        for text in texts
    ]


def never() -> None:
    """Nobody asks for the end."""


def test_that_answers_are_those_of_transformers_own_loop(model: Any, tokenizer: Any, monkeypatch: Any) -> None:
    model.train()
    told: list[float] = []
    generator = Generator(model, tokenizer)
    assert offline.fits(model)
    found = generator.answers(prompts(tokenizer), 14, told.append, never)
    assert model.training  # it learns on as before
    assert told == sorted(told)
    assert told[-1] == 1
    monkeypatch.setattr(generate, "fits", lambda _model: False)
    assert found == generator.answers(prompts(tokenizer), 14, lambda _done: None, never)


def test_that_an_answer_is_its_chances_whatever_stands_beside_it(model: Any, tokenizer: Any, monkeypatch: Any) -> None:
    generator = Generator(model, tokenizer)
    asked = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts(tokenizer, 8)]
    how = {"max_tokens": 10, "temperature": 1.3, "top_k": 40, "top_p": 0.95}
    found = [
        [answer.ids for answer in sample(generator, asked, range(8), Sampling(**how, batch_size=size), never)]  # type: ignore[arg-type]
        for size in (1, 3, 8)
    ]
    assert found[0] == found[1] == found[2]
    alone = sample(generator, asked[5:6], [5], Sampling(**how), never)  # type: ignore[arg-type]
    assert alone[0].ids == found[0][5]
    monkeypatch.setattr(sampling, "fits", lambda _model: False)
    theirs = [answer.ids for answer in sample(generator, asked, range(8), Sampling(**how, batch_size=8), never)]  # type: ignore[arg-type]
    assert theirs == found[0]  # the same numbers choose the same tokens


def test_that_whoever_is_to_end_ends_it_and_leaves_the_model_as_it_was(model: Any, tokenizer: Any) -> None:
    class Enough(Exception):
        """The end was asked for."""

    steps = 0

    def check() -> None:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise Enough

    model.train()
    with pytest.raises(Enough):
        Generator(model, tokenizer).answers(prompts(tokenizer), 200, lambda _done: None, check)
    assert model.training
    assert steps == 4


def test_that_what_breaks_in_a_pass_is_raised_as_it_is(model: Any, tokenizer: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("no room")

    generator = Generator(model, tokenizer)
    handle = model.get_decoder().layers[1].register_forward_pre_hook(broken)
    with pytest.raises(torch.OutOfMemoryError):
        generator.answers(prompts(tokenizer), 4, lambda _done: None, never)
    handle.remove()
    assert generator.answers(prompts(tokenizer, 1), 4, lambda _done: None, never)


def test_which_models_the_engine_can_ask() -> None:
    torch.manual_seed(0)
    small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2}
    state = MambaForCausalLM(MambaConfig(**small, state_size=4))
    assert not offline.fits(state)
    config = Gemma3TextConfig(
        **small, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=64, sliding_window=8
    )
    sliding = Gemma3ForCausalLM(config)
    assert offline.fits(sliding)
    sliding.config._attn_implementation = "flash_attention_2"
    assert not offline.fits(sliding)


OLD_MODELS = {
    "local_attention": lambda: tf.GPTNeoConfig(
        vocab_size=260, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        window_size=8,
    ),
    "bloom": lambda: tf.BloomConfig(vocab_size=260, hidden_size=32, n_layer=2, n_head=4),
    "falcon": lambda: tf.FalconConfig(
        vocab_size=260, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True
    ),
    "no_cache": lambda: tf.OpenAIGPTConfig(vocab_size=260, n_embd=32, n_layer=2, n_head=4),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD_MODELS)
def test_that_a_model_whose_rows_cannot_be_masked_is_asked_by_transformers_and_never_wrongly(name: str) -> None:
    torch.manual_seed(0)
    model = tf.AutoModelForCausalLM.from_config(OLD_MODELS[name]()).eval()
    model.generation_config.eos_token_id = None
    assert not offline.fits(model)
    with pytest.raises(UserError) as caught:
        ArrowEngine(model, tiny.make_tokenizer(), thread=False)
    assert caught.value.code == "inference.architecture"
