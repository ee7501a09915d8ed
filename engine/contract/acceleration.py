"""What makes steps faster or rows longer: Liger's kernels, sequences over several devices, stretched positions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from engine.contract.errors import Problem

LIGER = ("liger_kernel", "liger-kernel")
"""What is imported, and what pip calls it."""
ATTENTION = {"flash_attention_2": ("flash_attn", "flash-attn")}
"""Implementations of attention that need a package: what is imported, and what pip calls it."""
Rope = Literal["none", "linear", "dynamic", "yarn", "llama3"]
STRETCHED = ("linear", "dynamic", "yarn", "llama3")
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
"""Of Llama 3.1: below a quarter of the original length positions stay as they are."""
KEPT = ("rope_theta", "partial_rotary_factor")
Told = dict[str, Any]


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What cannot be done with one process."""
    training = document.get("training")
    parts = training.get("sequence_parallel") if isinstance(training, Mapping) else None
    if isinstance(parts, int) and not isinstance(parts, bool) and 1 < parts <= 64:
        params = {"parts": parts}
        yield Problem(code="config.sequence_members", field="training.sequence_parallel", params=params)


def stretched(config: Mapping[str, Any], rope: str, factor: float, original: int | None) -> Told | None:
    """What a model's config becomes with stretched positions; None: it has none that can be.

    The names are those of transformers: `rope_parameters`, or `rope_scaling` and `rope_theta` in older files.
    """
    present = config.get("rope_parameters") or config.get("rope_scaling") or {}
    context = config.get("max_position_embeddings")
    if not isinstance(present, Mapping) or any(isinstance(one, Mapping) for one in present.values()):
        return None  # one for each kind of layer
    if not isinstance(context, int) or isinstance(context, bool):
        return None
    if "rope_theta" not in present and "rope_theta" not in config:
        return None
    found = present.get("original_max_position_embeddings")
    length = original or (found if isinstance(found, int) else context)
    made: Told = {name: present.get(name, config.get(name)) for name in KEPT}
    made = {name: value for name, value in made.items() if value is not None}
    made |= {"rope_type": rope, "factor": float(factor)}
    if rope in ("yarn", "llama3"):
        made["original_max_position_embeddings"] = length
    if rope == "llama3":
        made |= LLAMA3
    # dynamic takes this very number as the original length, and stretches as far as a row asks for
    return {"rope_parameters": made, "max_position_embeddings": length if rope == "dynamic" else int(length * factor)}


def check_rope(folder: Path, rope: str, factor: float, original: int | None, longest: int | None) -> Iterator[Problem]:
    """What is wrong with stretching the positions of the model in a folder; `longest`: tokens of the longest row."""
    if rope not in STRETCHED:
        return
    try:
        config = json.loads((folder / "config.json").read_bytes())
        text = config.get("text_config") or config
        found = stretched(text, rope, factor, original)
    except (OSError, ValueError, AttributeError):
        return  # said elsewhere
    if found is None:
        named = {"architecture": str(config.get("model_type"))}
        yield Problem(code="config.rope_none", field="model.rope", params=named)
        return
    context, reach = text["max_position_embeddings"], reach_of(found, factor)
    params: Told
    if original is not None and original > context:
        params = {"original": original, "context": context}
        yield Problem(code="config.rope_original", field="model.rope_original", params=params)
    elif longest is not None and longest > reach:
        params = {"longest": longest, "reach": reach, "factor": factor}
        yield Problem(code="config.rope_short", field="model.rope_factor", params=params)


def reach_of(found: Told, factor: float) -> int:
    """Tokens that a model with stretched positions is meant for."""
    dynamic = found["rope_parameters"]["rope_type"] == "dynamic"
    return int(found["max_position_embeddings"] * (factor if dynamic else 1))
