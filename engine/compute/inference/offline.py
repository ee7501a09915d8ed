"""Many questions at once through the engine, on the caller's thread: for what measures, samples and shows answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.passes import foreign
from engine.compute.inference.engine.requests import Asked, Handle, Over, Sampling
from engine.contract.errors import UserError

BLOCK = 16
PIECE = 1024
BATCH_TOKENS = 8192
"""Tokens of questions and answers that are in memory at once, where a batch is not wished larger."""
ATTENDS = ("sdpa", "eager")
STRETCHED = ("dynamic", "longrope")
"""Ways to stretch positions that depend on how long a text is."""


def fits(model: Any) -> bool:
    """Whether the engine can ask it; other models are asked through transformers' own loop."""
    config = model.config.get_text_config()
    learned = getattr(model, "peft_config", {}).get("default")
    if learned is not None and learned.is_prompt_learning:
        return False
    if isinstance(model, torch.distributed.fsdp.FSDPModule) or getattr(config, "is_encoder_decoder", False):
        return False
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if rope.get("rope_type", rope.get("type")) in STRETCHED:
        return False
    if getattr(config, "_attn_implementation", "sdpa") not in ATTENDS:
        return False
    return not foreign(config) and hasattr(model, "get_decoder")


def answered(
    model: Any,
    tokenizer: Any,
    ends: Sequence[int],
    questions: Sequence[tuple[Sequence[int], Sampling]],
    rows: int,
    check: Callable[[], None],
    progress: Callable[[float], None] = lambda _done: None,
) -> list[list[int]]:
    """The tokens of each answer, the one that ended it included; `check` is called at every step and may raise.

    What breaks in a pass is raised as it is. The model must be at rest (`mode.at_rest`).
    """
    whole = sorted((-(-(len(tokens) + how.max_tokens) // BLOCK) for tokens, how in questions), reverse=True)
    usual = max(sum(whole[:rows]) if rows * BLOCK > BATCH_TOKENS else 0, BATCH_TOKENS // BLOCK)
    blocks = max(whole[0], min(sum(whole[:rows]), usual))
    limits = Limits(context=whole[0] * BLOCK, blocks=blocks, block=BLOCK, rows=rows, piece=PIECE, queue=len(questions))
    with ArrowEngine(model, tokenizer, limits, ends=ends, thread=False) as engine:
        handles = [engine.submit(Asked(tuple(tokens), how)) for tokens, how in questions]
        said, over = 0, 0
        while engine.turn():
            check()
            over = len(handles) - engine.waiting - engine.running
            if over != said:
                progress(over / len(handles))
                said = over
        return [_tokens(handle) for handle in handles]


def _tokens(handle: Handle) -> list[int]:
    found = list[int]()
    for one in handle:
        if not isinstance(one, Over):
            found.append(one.token)
        elif one.error is not None:
            raise one.error
        elif one.reason not in ("stop", "length"):
            raise UserError("inference.closed")
        elif one.end is not None:
            found.append(one.end)
    return found
