"""What an adapter is for: the prompts it was trained on, as its base model sees them."""

from __future__ import annotations

import logging

import numpy as np
import torch

from engine.compute.data.rows import Example
from engine.compute.inference.mode import at_rest
from engine.compute.worker.materials import Materials

log = logging.getLogger(__name__)
PROMPTS = 24
"""So many, evenly from all sources: more change the mean little."""
MAX_TOKENS = 256
MOST_CHARACTERS = 4 * MAX_TOKENS
DIGITS = 6


def purpose_of(materials: Materials) -> tuple[float, ...]:
    """The mean of the base's last hidden states over prompts, each the mean of its tokens, in `DIGITS` digits.

    Nothing where the base alone cannot be asked: it is shared among processes, or part of it is in the adapter. What
    fails here costs no run: a router is a convenience.
    """
    model = materials.model
    if materials.began or not hasattr(model, "disable_adapter") or _is_shared(model):
        return ()
    try:
        decoder = model.get_base_model().get_decoder()
    except AttributeError:
        return ()
    found = list[torch.Tensor]()
    try:
        # layers that were compiled for training would be compiled again for each length
        with at_rest(model), torch.inference_mode(), model.disable_adapter(), torch.compiler.set_stance("force_eager"):
            for text in _prompts(materials):
                tokens = materials.tokenizer(text, truncation=True, max_length=MAX_TOKENS)["input_ids"]
                if tokens:
                    ids = torch.tensor([tokens], device=materials.device)
                    found.append(decoder(input_ids=ids, use_cache=False).last_hidden_state[0].float().mean(0).cpu())
    except (RuntimeError, MemoryError) as error:  # memory, or weights in 4 bits that are too narrow to be asked so
        log.warning("What the adapter is for is not known: %s", error)
        return ()
    if not found:
        return ()
    mean = torch.stack(found).mean(0)
    return tuple(float(f"{number:.{DIGITS}g}") for number in mean.tolist()) if bool(mean.isfinite().all()) else ()


def _is_shared(model: torch.nn.Module) -> bool:
    """Parts of its weights lie in other processes: as ZeRO's third stage and FSDP have them."""
    return any(hasattr(one, "ds_id") or type(one).__name__ == "DTensor" for one in model.parameters()) or any(
        type(one).__name__ == "FullyShardedDataParallel" for one in model.modules()
    )


def _prompts(materials: Materials) -> list[str]:
    sources, made = materials.train, list[str]()
    for number, source in enumerate(sources):
        rows = source.content
        most = (PROMPTS * (number + 1)) // len(sources) - (PROMPTS * number) // len(sources) or 1
        places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))
        made += [said for example in rows.examples(places.tolist()) if (said := _said(example))]
    return made


def _said(example: Example) -> str:
    """What a router would be asked with: the last thing a person said, else how the text begins."""
    turns = [*example.turns, *example.chosen]
    said = next((str(turn["content"]) for turn in reversed(turns) if turn["role"] == "user"), "")
    return (said or example.text or "".join(example.texts[:1]))[:MOST_CHARACTERS].strip()
