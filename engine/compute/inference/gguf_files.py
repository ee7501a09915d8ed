"""Base models and adapters as GGUF, the files of llama.cpp: dense models of the Llama and Qwen families."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from engine.compute.lora.adapter import Adapter
from engine.contract.durable import aside
from engine.contract.errors import UserError
from engine.contract.gguf import GgufStorage

FAMILIES = {"llama": "LLAMA", "mistral": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}
"""model_type of transformers to llama.cpp's architecture."""
TURNED = ("LLAMA",)
"""Architectures whose rotary halves llama.cpp wants interleaved."""
SPLITS = {
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+": "qwen2",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+": "llama-bpe",
}
"""How a tokenizer splits texts, as llama.cpp calls it."""
UNKNOWN_SPLIT = "default"
USUAL_WINDOW = 4096


@dataclass(frozen=True)
class Written:
    """What became of it."""

    bytes: int
    tensors: int
    splits: str = ""
    """llama.cpp's name of the way texts are split; `default`: another one, so that texts must be given as tokens."""


def write_base(folder: Path, to: Path, storage: GgufStorage = "f16") -> Written:
    """A model's folder as one file; refused by name where llama.cpp would compute something else."""
    gguf = _package()
    config = json.loads((folder / "config.json").read_bytes())
    family = _family(config, str(folder))
    with aside(to) as beside:
        writer = gguf.GGUFWriter(str(beside), gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[family]])
        _describe(writer, config, folder.name, storage)
        splits = _vocabulary(writer, folder, config)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family], int(config["num_hidden_layers"]))
        count = 0
        for name, tensor in _tensors(folder):
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if target is None:
                raise UserError("gguf.tensor", name=name, family=family)
            if family in TURNED:
                tensor = _turned(name, tensor, config)
            data, kind = _stored(tensor, storage, gguf)
            writer.add_tensor(target, data, raw_dtype=kind)
            count += 1
        _close(writer)
    return Written(to.stat().st_size, count, splits)


def write_adapter(adapter: Adapter, base: Path, to: Path) -> Written:
    """An adapter for a base model's file; its strength is folded into the second matrices."""
    gguf = _package()
    config = json.loads((base / "config.json").read_bytes())
    family = _family(config, str(base))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family], int(config["num_hidden_layers"]))
    left = sorted({*(f"{path}.{name}" for path, more in adapter.whole.items() for name in more),
                   *(path for path, one in adapter.modules.items()
                     if one.magnitude is not None or one.bias is not None or one.embedding)})  # fmt: skip
    if left:
        raise UserError("gguf.adapter", count=len(left), first=left[0])
    with aside(to) as beside:
        writer = gguf.GGUFWriter(str(beside), gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[family]])
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 1.0)
        if adapter.card.name:
            writer.add_name(adapter.card.name)
        for path, one in adapter.modules.items():
            target = names.get_name(f"{path}.weight", try_suffixes=(".weight",))
            if target is None:
                raise UserError("gguf.tensor", name=path, family=family)
            second = one.b.float() * (one.scaling * one.rank)  # llama.cpp divides by the rank
            if family in TURNED:
                second = _turned(f"{path}.weight", second, config)
            writer.add_tensor(f"{target}.lora_a", one.a.float().contiguous().numpy())
            writer.add_tensor(f"{target}.lora_b", second.contiguous().numpy())
        _close(writer)
    return Written(to.stat().st_size, 2 * len(adapter.modules))


def _package() -> Any:
    try:
        import gguf
    except ImportError:
        raise UserError("gguf.missing") from None
    return gguf


def _family(config: Mapping[str, Any], path: str) -> str:
    kind = str(config.get("model_type", ""))
    if kind not in FAMILIES:
        raise UserError("gguf.family", kind=kind or "?", known=", ".join(sorted(FAMILIES)), path=path)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    way = str(rope.get("rope_type", rope.get("type", "default")))
    if way != "default":
        raise UserError("gguf.rope", way=way, path=path)
    if (window := _window(config)) is not None:
        raise UserError("gguf.window", window=window, path=path)
    return FAMILIES[kind]


def _window(config: Mapping[str, Any]) -> int | None:
    """So many tokens back layers look at most, where that is fewer than there may be; these families of llama.cpp
    look at all. What a config does not say is as transformers has it."""
    window = config.get("sliding_window", USUAL_WINDOW)
    if window is None or int(window) >= int(config["max_position_embeddings"]):
        return None
    if (kinds := config.get("layer_types")) is not None:
        return int(window) if "sliding_attention" in kinds else None
    if str(config["model_type"]).startswith("qwen"):
        narrow = config.get("use_sliding_window") and int(config.get("max_window_layers", 28)) < int(
            config["num_hidden_layers"]
        )
        return int(window) if narrow else None
    return int(window) if config["model_type"] == "mistral" else None


def _describe(writer: Any, config: Mapping[str, Any], name: str, storage: GgufStorage) -> None:
    heads = int(config["num_attention_heads"])
    size = int(config.get("head_dim") or config["hidden_size"] // heads)
    rope = config.get("rope_parameters") or config
    writer.add_name(name)
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_file_type({"f32": 0, "f16": 1, "q8_0": 7, "bf16": 32}[storage])


def _vocabulary(writer: Any, folder: Path, config: Mapping[str, Any]) -> str:
    """Tokens, merges and template; what llama.cpp calls the way texts are split."""
    gguf = _package()
    try:
        whole = json.loads((folder / "tokenizer.json").read_bytes())
    except (OSError, ValueError):
        raise UserError("gguf.tokenizer", path=str(folder), detail="tokenizer.json") from None
    model = whole["model"]
    if model.get("type") != "BPE" or not _of_bytes(whole):
        raise UserError("gguf.tokenizer", path=str(folder), detail=str(model.get("type")))
    size = int(config["vocab_size"])
    words = {int(index): word for word, index in model["vocab"].items()}
    kinds = dict.fromkeys(words, int(gguf.TokenType.NORMAL))
    for one in whole.get("added_tokens", ()):
        words[int(one["id"])] = one["content"]
        kinds[int(one["id"])] = int(gguf.TokenType.CONTROL if one["special"] else gguf.TokenType.USER_DEFINED)
    unused = int(gguf.TokenType.UNUSED)
    splits = _splits(whole)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splits)
    writer.add_token_list([words.get(index, f"[PAD{index}]") for index in range(size)])
    writer.add_token_types([kinds.get(index, unused) for index in range(size)])
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in model["merges"]])
    ends = config.get("eos_token_id")
    for add, value in (
        (writer.add_bos_token_id, config.get("bos_token_id")),
        (writer.add_eos_token_id, ends[0] if isinstance(ends, list) else ends),
        (writer.add_pad_token_id, config.get("pad_token_id")),
    ):
        if isinstance(value, int):
            add(value)
    template = folder / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text(encoding="utf-8"))
    return splits


def _of_bytes(whole: Mapping[str, Any]) -> bool:
    """Byte-level BPE, as llama.cpp's `gpt2` has it."""
    return "ByteLevel" in json.dumps([whole.get("pre_tokenizer"), whole.get("decoder")])


def _splits(whole: Mapping[str, Any]) -> str:
    before = whole.get("pre_tokenizer") or {}
    parts = before.get("pretokenizers", [before])
    patterns = [part["pattern"].get("Regex") for part in parts if part.get("type") == "Split"]
    if len(patterns) == 1 and patterns[0] in SPLITS and len(parts) == 2:
        return SPLITS[patterns[0]]
    if not patterns and len(parts) == 1 and parts[0].get("use_regex", True):
        return "gpt-2"
    return UNKNOWN_SPLIT


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(str(file), framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping
                yield name, opened.get_tensor(name)


def _turned(name: str, tensor: torch.Tensor, config: Mapping[str, Any]) -> torch.Tensor:
    """Rows of q and k, halves of each head interleaved."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    for part, setting in heads.items():
        if f".{part}." in name:
            count = int(config.get(setting) or config["num_attention_heads"])
            shape = tensor.shape
            return tensor.reshape(count, 2, shape[0] // count // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
    return tensor


def _stored(tensor: torch.Tensor, storage: GgufStorage, gguf: Any) -> tuple[np.ndarray, Any]:
    """Matrices as asked for; vectors as they are in fp32."""
    types = gguf.GGMLQuantizationType
    plain = tensor.float().contiguous().numpy()
    if tensor.dim() < 2 or storage == "f32":
        return plain, types.F32
    if storage == "f16":
        return plain.astype(np.float16), types.F16
    kind = types.BF16 if storage == "bf16" or plain.shape[-1] % 32 else types.Q8_0
    return gguf.quants.quantize(plain, kind), kind


def _close(writer: Any) -> None:
    steps: tuple[Callable[[], None], ...] = (
        writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close,
    )  # fmt: skip
    for step in steps:
        step()
