"""Methods that learn what stands before every row, and single tokens: how peft is asked for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig


def prompt_settings(model: Any, config: TunerConfig) -> dict[str, Any]:
    """Settings of prompt tuning, prefix tuning or p-tuning by peft's names."""
    made: dict[str, Any] = {"num_virtual_tokens": config.virtual_tokens}
    size = config.encoder_size or model.config.get_text_config().hidden_size
    if config.kind == "prompt_tuning":  # a text is put in afterwards, by the run's own tokenizer
        return made | {"prompt_tuning_init": "SAMPLE_VOCAB" if config.prompt_init == "vocabulary" else "RANDOM"}
    if config.kind == "prefix_tuning":
        return made | {"prefix_projection": config.prefix_projection, "encoder_hidden_size": size}
    return made | {
        "encoder_reparameterization_type": config.encoder.upper(), "encoder_hidden_size": size,
        "encoder_num_layers": config.encoder_layers, "encoder_dropout": config.encoder_dropout,
    }  # fmt: skip


@torch.no_grad()  # type: ignore[untyped-decorator]
def begin_with_text(made: Any, config: TunerConfig, tokenizer: Any) -> None:
    """Prompt tuning (arXiv 2104.08691) that begins as a text, repeated or cut to as many tokens as there are."""
    if config.kind != "prompt_tuning" or config.prompt_init != "text":
        return
    ids = tokenizer(config.prompt_text or "")["input_ids"]
    if not ids:
        raise UserError("config.prompt_text")
    learned = made.prompt_encoder["default"].embedding.weight
    repeated = (ids * (len(learned) // len(ids) + 1))[: len(learned)]
    device = made.word_embeddings.weight.device
    learned.copy_(made.word_embeddings(torch.tensor(repeated, device=device)).to(learned))


def token_numbers(config: TunerConfig, tokenizer: Any, model: Any) -> list[int]:
    """The numbers of the tokens that learn; refuses what is no single token of the vocabulary."""
    known, found = tokenizer.get_vocab(), list[int]()
    rows = model.get_input_embeddings().num_embeddings
    for text in config.tokens:
        pieces = [known[text]] if text in known else tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(pieces) != 1 or pieces[0] == tokenizer.unk_token_id:
            shown = " · ".join(tokenizer.convert_ids_to_tokens(pieces)[:12])
            raise UserError("config.token_not_single", token=text, count=len(pieces), pieces=shown)
        if pieces[0] >= rows:
            raise UserError("config.token_no_row", token=text, number=pieces[0], rows=rows)
        found.append(pieces[0])
    return sorted(set(found))


def check_length(model: Any, config: TunerConfig, longest: int) -> None:
    """The virtual tokens take places of the model's context, too."""
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if most and longest <= most < longest + config.virtual_tokens:
        rest = most - config.virtual_tokens
        raise UserError("config.virtual_length", most=most, length=longest, tokens=config.virtual_tokens, rest=rest)


def virtual_tokens(model: Any) -> int:
    """By how many places the model's answer is longer than the row: virtual tokens that stand in the row itself."""
    inner = model.module if hasattr(model, "module") else model
    config = getattr(inner, "peft_config", {}).get("default")
    if config is None or not config.is_prompt_learning or config.peft_type == "PREFIX_TUNING":
        return 0
    switched_off = getattr(inner.forward, "__self__", None) is inner.base_model
    return 0 if switched_off else int(config.num_virtual_tokens)


@contextmanager
def as_base(model: Any) -> Iterator[None]:
    """Inside, the base model answers: virtual tokens that have learned nothing yet are not what it was before."""
    with model.disable_adapter() if learns_prompt(model) else nullcontext():
        yield


def learns_prompt(model: Any) -> bool:
    """Whether what is trained stands before every row."""
    config = getattr(model, "peft_config", {}).get("default")
    return config is not None and bool(config.is_prompt_learning)
