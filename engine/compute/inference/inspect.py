"""What a model folder says about itself, read from its files without loading it (and without torch)."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from engine.compute.inference.folder import Tensor, problems_of_content, problems_of_parts, read_json, read_tensors
from engine.contract.errors import UserError
from engine.contract.model_shape import shape_of

DTYPES = {"F32": "fp32", "BF16": "bf16", "F16": "fp16", "F64": "fp64", "F8_E4M3": "fp8", "I8": "int8", "U8": "uint8"}
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length")
LAYER = re.compile(r"(^|\.)\d+\.")
USUAL = ("q_proj", "k_proj", "v_proj", "o_proj", "c_attn", "gate_proj", "up_proj", "c_fc", "down_proj", "c_proj")
CHAT_NAME = re.compile(r"(^|[-_. ])(instruct|chat|it|sft|rlhf|dpo)([-_. ]|$)", re.IGNORECASE)
BASE_NAME = re.compile(r"(^|[-_. ])(base|pretrained|pt)([-_. ]|$)", re.IGNORECASE)


def inspect_folder(folder: Path, name: str = "") -> dict[str, Any]:
    """Everything a form wants to know about a model; `name` is what it is called where the folder is not."""
    if not folder.is_dir():
        raise UserError("model.missing", path=str(folder))
    config = read_json(folder / "config.json", "model.no_config")
    inner = config.get("text_config")
    text: dict[str, Any] = inner if isinstance(inner, dict) else config
    tensors, problems = read_tensors(folder)
    problems += [*problems_of_parts(folder), *problems_of_content(folder, config, tensors)]
    template = _template(folder)
    linear = linear_targets(tensors)
    architecture = next(iter(config.get("architectures") or []), "")
    return {
        "architecture": architecture,
        "model_type": config.get("model_type", ""),
        "parameters": sum(math.prod(shape) for _, shape, _ in tensors),
        "dtype": _dtype(tensors, config),
        "bytes": sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        "context_length": next((text[key] for key in CONTEXT_KEYS if isinstance(text.get(key), int)), None),
        "hidden_size": text.get("hidden_size", text.get("n_embd")),
        "layers": text.get("num_hidden_layers", text.get("n_layer")),
        "vocab_size": text.get("vocab_size"),
        "targets": linear,
        "adapter_widths": adapter_widths(tensors, linear),
        "suggested_targets": ["all-linear"],
        "template": template,
        "type": _type(name or folder.name, bool(template["has_own"])),
        "reasons": {"targets": {"code": "inspect.targets", "params": {"count": len(linear)}}},
        "licence": _licence(folder),
        "shape": _shape(config, tensors),
        "problems": [problem.model_dump() for problem in problems],
    }


def _shape(config: dict[str, Any], tensors: list[Tensor]) -> dict[str, Any] | None:
    """What its memory depends on."""
    found = shape_of(config, [(name, tuple(sizes)) for name, sizes, _dtype in tensors])
    return found.model_dump() if found is not None else None


def linear_targets(tensors: list[Tensor]) -> list[str]:
    """Last names of the matrices inside layers, in the order data flows through them."""
    names = (name for name, shape, _ in tensors if len(shape) == 2 and name.endswith(".weight") and LAYER.search(name))
    found = {name.removesuffix(".weight").rpartition(".")[2] for name in names}
    return sorted(found, key=lambda name: (USUAL.index(name) if name in USUAL else len(USUAL), name))


def adapter_widths(tensors: list[Tensor], names: list[str]) -> dict[str, int]:
    """How many numbers an adapter of rank 1 has on each of these modules, all layers together."""
    widths = dict.fromkeys(names, 0)
    for name, shape, _ in tensors:
        last = name.removesuffix(".weight").rpartition(".")[2]
        if last in widths and len(shape) == 2 and name.endswith(".weight") and LAYER.search(name):
            widths[last] += sum(shape)
    return widths


def _dtype(tensors: list[Tensor], config: dict[str, Any]) -> str:
    counts = Counter[str]()
    for _, shape, dtype in tensors:
        counts[dtype] += math.prod(shape)
    if not counts:
        return str(config.get("dtype") or config.get("torch_dtype") or "")
    most = counts.most_common(1)[0][0]
    return DTYPES.get(most, most.lower())


def _template(folder: Path) -> dict[str, Any]:
    """Which template `auto` would take, and why."""
    own = (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        own = own or bool(json.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template"))
    code = "model.template_own" if own else "model.template_chatml"
    return {"choice": "tokenizer" if own else "chatml", "has_own": own, "reason": {"code": code, "params": {}}}


def _type(name: str, has_template: bool) -> dict[str, Any]:
    if CHAT_NAME.search(name):
        value, code = "chat", "inspect.chat_by_name"
    elif BASE_NAME.search(name):
        value, code = "base", "inspect.base_by_name"
    elif has_template:
        value, code = "chat", "inspect.chat_by_template"
    else:
        value, code = "base", "inspect.base_by_template"
    return {"value": value, "reason": {"code": code, "params": {"name": name}}}


def _licence(folder: Path) -> str:
    """The licence the model card or a licence file names."""
    try:
        found = re.search(
            r"^license:\s*(\S.*)$", (folder / "README.md").read_text(errors="replace")[:4000], re.MULTILINE
        )
        if found:
            return found.group(1).strip().strip("'\"")
    except OSError:
        pass
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        try:
            lines = (folder / name).read_text(errors="replace")[:2000].splitlines()
        except OSError:
            continue
        return next((line.strip() for line in lines if line.strip()), "")[:80]
    return ""
