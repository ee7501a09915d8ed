"""What an adapter says about itself: what it changes and how much, what it was made from, and for which base model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

SUFFIX = ".lora.arrow"
"""How the name of an adapter's file ends."""
STORAGES = ("fp32", "fp16", "bf16", "int8", "int4")
Storage = Literal["fp32", "fp16", "bf16", "int8", "int4", "mixed"]
Value = TypeVar("Value", int, float)


class LoRACard(BaseModel):
    """The card of an adapter; `file_hash` and `dtype` are told by the file that holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", max_length=200)
    base_model: str = ""
    """A hub id or the name of a folder, never a path of this computer."""
    base_hash: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """`X-Sha256` of the base's weights: sha256 of the sorted `name sha256` lines of its safetensors files."""
    tuner: Literal["lora", "dora"] = "lora"
    rank: int = Field(ge=1)
    alpha: float = Field(allow_inf_nan=False)
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    targets: tuple[str, ...] = ()
    """Modules it changes, by their paths in the base model."""
    scaling: Literal["standard", "rslora"] = "standard"
    """What the change is multiplied by: alpha / rank, or alpha / sqrt(rank)."""
    dtype: Storage = "fp32"
    storage_error: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The greatest relative error (Frobenius norm) of a matrix that int8, int4 or a smaller rank left."""
    metrics: dict[str, float] = {}
    run: str = ""
    datasets: dict[str, str] = {}
    """Name to hash of what it was trained on."""
    licence: str = ""
    description: str = ""
    embedding: tuple[float, ...] = ()
    """What it is for, as the base model sees it: the prompts it was trained on, or its description. A router compares
    requests with it."""
    created: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    file_hash: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @field_validator("rank_pattern")
    @classmethod
    def _ranks(cls, ranks: dict[str, int]) -> dict[str, int]:
        if any(rank < 1 for rank in ranks.values()):
            raise ValueError("ranks begin with 1")
        return ranks

    @field_validator("embedding")
    @classmethod
    def _finite(cls, numbers: tuple[float, ...]) -> tuple[float, ...]:
        if not all(map(math.isfinite, numbers)):
            raise ValueError("not every number is finite")
        return numbers

    def rank_of(self, module: str) -> int:
        """The rank a module has by the patterns."""
        return by_pattern(self.rank_pattern, module, self.rank)

    def scaling_of(self, module: str) -> float:
        """What a module's change is multiplied by."""
        alpha, rank = by_pattern(self.alpha_pattern, module, self.alpha), self.rank_of(module)
        return alpha / math.sqrt(rank) if self.scaling == "rslora" else alpha / rank


def by_pattern(patterns: Mapping[str, Value], module: str, usual: Value) -> Value:
    """The value of the first pattern that is a module's path or the end of one, as peft reads them."""
    for pattern, value in patterns.items():
        if re.match(_whole(pattern), module):
            return value
    return usual


def _whole(pattern: str) -> str:
    return rf"(.*\.)?({pattern})$"


def bad_patterns(patterns: Iterable[str]) -> list[str]:
    """Patterns that are no regular expressions where `by_pattern` puts them, or no text."""
    bad = list[str]()
    for pattern in patterns:
        try:
            re.compile(_whole(pattern))
            pattern.encode()
        except (re.error, OverflowError, RecursionError, UnicodeError):
            bad.append(pattern)
    return bad
