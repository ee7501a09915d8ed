"""Tokens a model did not have: added to its vocabulary, with a row of the embeddings each, which begins as a mean."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from engine.contract.errors import UserError

VOCABULARY = "vocab_size"
BASE_CONFIG = "base_config.json"


def add_tokens(model: Any, tokenizer: Any, wanted: Mapping[str, str]) -> list[int]:
    """Add them to both and say their numbers; each begins as the mean of its description's tokens, or of all.

    The same texts give the same numbers and the same rows, so that a resumed run makes the same model.
    """
    known = tokenizer.get_vocab()
    old = len(tokenizer)
    described = {text: _described(tokenizer, text, words) for text, words in wanted.items()}
    for text in wanted:
        if text in known:
            raise UserError("config.token_known", token=text, number=known[text])
    extend(tokenizer, wanted)
    numbers = {text: int(tokenizer.convert_tokens_to_ids(text)) for text in wanted}
    rows = model.get_input_embeddings().num_embeddings
    if max(numbers.values()) >= rows:
        model.resize_token_embeddings(max(rows, len(tokenizer)), mean_resizing=False)
    tables = [model.get_input_embeddings().weight]
    head = model.get_output_embeddings()
    if head is not None and head.weight is not tables[0]:
        tables.append(head.weight)
    with torch.no_grad():
        for table in tables:
            whole = table[: min(old, rows)].float().mean(0)
            for text, number in numbers.items():
                pieces = described[text]
                begin = table[torch.tensor(pieces, device=table.device)].float().mean(0) if pieces else whole
                table[number] = begin.to(table.dtype)
    return sorted(numbers.values())


def extend(tokenizer: Any, texts: Iterable[str]) -> None:
    """Give a tokenizer the tokens of a run, as its model has them."""
    from tokenizers import AddedToken

    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in texts])


def _described(tokenizer: Any, text: str, words: str) -> list[int]:
    """Numbers of the tokens of a description, which the model has already."""
    if not words:
        return []
    found: list[int] = tokenizer(words, add_special_tokens=False)["input_ids"]
    if not found:
        raise UserError("config.token_described", token=text, words=words)
    return found


def token_places(model: Any, numbers: list[int]) -> dict[str, list[int]]:
    """Where these rows stand: the embeddings, and the head where it is a table of its own; as peft wants it."""
    tables = [model.get_input_embeddings()]
    head = model.get_output_embeddings()
    if head is not None and head.weight is not tables[0].weight:
        tables.append(head)
    names = {id(module): name for name, module in model.named_modules()}
    return {names[id(table)].rpartition(".")[2]: list(numbers) for table in tables}


def fit_base(model: Any, adapter: Path) -> Any:
    """The base model with as many rows as an adapter with new tokens was trained on."""
    try:
        found = json.loads((adapter / BASE_CONFIG).read_bytes()).get(VOCABULARY)
    except (OSError, ValueError, AttributeError):
        return model
    if isinstance(found, int) and found > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(found, mean_resizing=False)
    return model
