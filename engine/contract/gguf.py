"""What is asked when a model or an adapter is written for llama.cpp, and what comes back."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

GgufStorage = Literal["f32", "f16", "bf16", "q8_0"]


class WriteGguf(BaseModel):
    """A base model's folder, or an adapter of a base model, as one file."""

    path: str
    to: str
    base: str = ""
    """The base model's folder, where `path` is an adapter."""
    storage: GgufStorage = "f16"
    """Of a base model's matrices; those of an adapter are fp32."""


class GgufWritten(BaseModel):
    """The file."""

    path: str
    bytes: int
    tensors: int
    splits: str = ""
    """llama.cpp's name of the way texts are split; `default`: it has none for it, and texts must be given as tokens."""
