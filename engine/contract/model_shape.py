"""The measures of a model that its memory depends on, read from config.json and the names and sizes of its tensors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

LAYER = re.compile(r"(^|\.)(layers|h|blocks)\.\d+\.")
HEADER_BYTES = 100 << 20
Tensor = tuple[str, tuple[int, ...]]
"""Name and sizes."""


class Linear(BaseModel):
    """Matrices of one name, layer by layer of the same size."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    inputs: int
    outputs: int
    count: int


class ModelShape(BaseModel):
    """A decoder-only language model in numbers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    parameters: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    """Of the layers' inner width as it works on a token: of a mixture of experts, of all that are active together."""
    vocab: int
    tied: bool = True
    """The output head is the embedding."""
    gated: bool = True
    """Three matrices a feed-forward part (SwiGLU), not two."""
    qk_norm: bool = False
    """Queries and keys are normed."""
    linear: tuple[Linear, ...] = ()
    """The matrices inside its layers: what gets an adapter."""

    @property
    def queries(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys of a token, and of all values."""
        return self.kv_heads * self.head_dim

    @property
    def in_layers(self) -> int:
        """Parameters of the matrices inside layers."""
        return sum(one.inputs * one.outputs * one.count for one in self.linear)

    @property
    def embedding(self) -> int:
        """Parameters of the table of tokens."""
        return self.vocab * self.hidden


def shape_of(config: Mapping[str, Any], tensors: Sequence[Tensor] = ()) -> ModelShape | None:
    """The shape; None where the config leaves out what must be known. `tensors` make it exact."""
    inner = config.get("text_config")
    text: Mapping[str, Any] = inner if isinstance(inner, dict) else config
    hidden, layers = _number(text, "hidden_size", "n_embd", "d_model"), _number(text, "num_hidden_layers", "n_layer")
    vocab = _number(text, "vocab_size")
    if not hidden or not layers or not vocab:
        return None
    heads = _number(text, "num_attention_heads", "n_head") or 1
    kv_heads = _number(text, "num_key_value_heads") or heads
    head_dim = _number(text, "head_dim") or hidden // heads
    if _number(text, "kv_lora_rank"):  # MLA: its heads have a part with a position and one without
        head_dim = (_number(text, "qk_nope_head_dim") or 0) + (_number(text, "qk_rope_head_dim") or 0)
    inner_width = _inner_width(text, hidden)
    names = [name for name, _sizes in tensors]
    gated = any(".gate_proj." in name or ".w1." in name for name in names) if names else "n_embd" not in text
    linear = _linear(tensors) or _usual(hidden, layers, heads * head_dim, kv_heads * head_dim, inner_width, gated)
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", True)))
    found = ModelShape(
        parameters=sum(math.prod(sizes) for _name, sizes in tensors), layers=layers, hidden=hidden, heads=heads,
        kv_heads=kv_heads, head_dim=head_dim, intermediate=inner_width, vocab=vocab, tied=tied, gated=gated,
        qk_norm=any(".q_norm." in name for name in names), linear=tuple(linear),
    )  # fmt: skip
    if found.parameters:
        return found
    whole = found.in_layers + found.embedding * (1 if tied else 2) + hidden * (2 * layers + 1)
    return found.model_copy(update={"parameters": whole})


def read_shape(folder: Path) -> ModelShape | None:
    """The shape of a model in a folder; None where its files do not say."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        tensors = [one for file in sorted(folder.glob("*.safetensors")) for one in _header(file)]
        return shape_of(config, tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _header(file: Path) -> Iterator[Tensor]:
    """Names and sizes of a file's tensors."""
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        if not 0 < length <= HEADER_BYTES:
            return
        header = json.loads(content.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, tuple(entry["shape"])


def _number(text: Mapping[str, Any], *keys: str) -> int | None:
    found = next((text[key] for key in keys if isinstance(text.get(key), int)), None)
    return found if found is not None and found > 0 else None


def _inner_width(text: Mapping[str, Any], hidden: int) -> int:
    """Of experts, those that work on a token together."""
    expert = _number(text, "moe_intermediate_size")
    if expert:
        return expert * (_number(text, "num_experts_per_tok") or 1)
    return _number(text, "intermediate_size", "n_inner") or 4 * hidden


def _linear(tensors: Sequence[Tensor]) -> list[Linear]:
    """Matrices of a layer by name, as the files hold them (outputs first)."""
    found: dict[tuple[str, int, int], int] = {}
    for name, sizes in tensors:
        if len(sizes) != 2 or not name.endswith(".weight") or not LAYER.search(name):
            continue
        last = name.removesuffix(".weight").rpartition(".")[2]
        swapped = last in ("c_attn", "c_fc", "c_proj")  # Conv1D holds inputs first
        key = (last, sizes[0 if swapped else 1], sizes[1 if swapped else 0])
        found[key] = found.get(key, 0) + 1
    return [Linear(name=name, inputs=i, outputs=o, count=count) for (name, i, o), count in sorted(found.items())]


def _usual(hidden: int, layers: int, queries: int, keys: int, inner: int, gated: bool) -> list[Linear]:
    """The matrices of a Llama-like layer, where no file says otherwise."""
    sizes = {
        "q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys), "o_proj": (queries, hidden),
        "gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden),
    }  # fmt: skip
    if not gated:
        sizes.pop("gate_proj")
    return [Linear(name=name, inputs=i, outputs=o, count=layers) for name, (i, o) in sizes.items()]
