"""Names of weights in an adapter of peft's, and what each of them is."""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "base_model.model."
ENDINGS = {
    ".lora_A.weight": "A",
    ".lora_B.weight": "B",
    ".lora_B.bias": "B_bias",
    ".lora_embedding_A": "embedding_A",
    ".lora_embedding_B": "embedding_B",
    ".lora_magnitude_vector": "magnitude",
}
FIRST, SECOND = ("A", "embedding_A"), ("B", "embedding_B")
FACTORS = (*FIRST, *SECOND)
GROUPS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Modules that are given the same input one after another; their first matrices lie side by side in a file."""
_RANKS = {name: number for number, name in enumerate(name for group in GROUPS for name in group)}


@dataclass(frozen=True, slots=True)
class Key:
    """What a weight is: of which module, in which role; `parameter` of one that replaces the module's own."""

    name: str
    module: str
    role: str
    parameter: str = ""


def parse(name: str) -> Key | None:
    """What a weight is by its name; None if it is nothing of a LoRA's."""
    if not name.startswith(PREFIX):
        return None
    path = name.removeprefix(PREFIX)
    for ending, role in ENDINGS.items():
        if path.endswith(ending) and len(path) > len(ending):
            return Key(name, path.removesuffix(ending), role)
    module, _, parameter = path.rpartition(".")
    if not module or "lora_" in path or "token_adapter" in path or "modules_to_save" in path:
        return None
    return Key(name, module.removesuffix(".base_layer"), "whole", parameter)


def order(key: Key) -> tuple[object, ...]:
    """Where a weight lies in a file: first matrices, second ones, the rest; layer by layer, groups side by side."""
    stage = 0 if key.role in FIRST else 1 if key.role in SECOND else 2
    parent, _, last = key.module.rpartition(".")
    numbered = tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", parent))
    return stage, numbered, _RANKS.get(last, len(_RANKS)), last, key.role, key.parameter
