"""What is asked of adapters outside of runs, and what comes back: `forge adapter`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from engine.contract.lora_card import LoRACard

MergeMethod = Literal["linear", "cat", "svd", "ties", "dare_linear", "dare_ties"]


class LookAtAdapter(BaseModel):
    """Inspect or verify one: a file of ours or a folder of peft's."""

    path: str
    verify: bool = False
    base: str = ""
    """A base model's folder whose weights it must have been made for."""


class WriteAdapter(BaseModel):
    """Convert, quantise or shrink one."""

    path: str
    to: str
    storage: Literal["fp32", "fp16", "bf16", "int8", "int4"] | None = None
    error: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    """Shrink it so far that each module is off by this at most."""
    base: str = ""
    """The folder of its base model, whose hash goes into the card."""
    name: str = ""
    description: str = ""
    licence: str = ""


class MergeAdapters(BaseModel):
    """Several as one, or into a base model."""

    paths: list[str] = Field(min_length=1)
    to: str
    weights: list[float] | None = None
    method: MergeMethod = "linear"
    density: float = 0.5
    seed: int = 0
    storage: Literal["fp32", "fp16", "bf16", "int8", "int4"] | None = None
    into: str = ""
    """A base model's folder; what is written is a whole model then."""


class CompareAdapters(BaseModel):
    """How two differ."""

    one: str
    other: str


class AdapterModule(BaseModel):
    """What an adapter does to one module."""

    path: str
    rank: int
    scaling: float
    inputs: int
    outputs: int
    extras: list[str] = []
    """magnitude, bias, embedding."""


class AdapterView(BaseModel):
    """An adapter as it is shown."""

    path: str
    form: Literal["file", "folder"]
    bytes: int
    parameters: int
    card: LoRACard
    modules: list[AdapterModule]
    whole: list[str] = []
    """Parameters that take the place of the base's own."""
    verified: bool = False
    errors: dict[str, float] = {}
    """Of shrinking, by module."""


class MergedModel(BaseModel):
    """A base model with adapters in it."""

    path: str
    adapters: list[str]


class ModuleDifference(BaseModel):
    """How the changes of one module differ."""

    path: str
    distance: float
    cosine: float
    norms: tuple[float, float]
    ranks: tuple[int, int]


class AdapterDifference(BaseModel):
    """How two adapters differ, module by module; modules only one of them has."""

    modules: list[ModuleDifference]
    only_one: list[str]
    only_other: list[str]
