"""An adapter in memory: what it changes in which module, by which matrices."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import torch

from engine.compute.lora.keys import FACTORS, Key, parse
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.lora_card import LoRACard, bad_patterns
from engine.contract.tuners import SPLITTING

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
RAW = {"fp64": torch.float64, "int64": torch.int64, "int32": torch.int32, "uint8": torch.uint8, "bool": torch.bool}
"""What a module that was trained whole may hold besides."""
NAMES = {dtype: name for name, dtype in (DTYPES | RAW).items()}
UNSUPPORTED = (
    "layer_replication", "megatron_config", "trainable_token_indices", "alora_invocation_tokens", "use_qalora",
    "use_bdlora", "arrow_config", "kasa_config", "monteclora_config", "velora_config", "target_parameters",
)  # fmt: skip
"""Options of peft's LoRA that make it compute something else."""
KNOWN = frozenset((
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out", "bias", "use_rslora",
    "modules_to_save", "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern",
    "megatron_core", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "use_dora", "qalora_group_size",
    "runtime_config", "lora_bias", "ensure_weight_tying", "enable_lora", "merge_weights",
    "lora_dtype", "lorap_lr_ratio",  # ms-swift's
))  # fmt: skip
"""Options that are represented, or say only how it was trained."""


LARGEST = 1e300
"""An alpha beyond it is no number any more once it is multiplied."""


@dataclass(slots=True)
class Factors:
    """What is added to one module: scaling · B·A, of a table `embedding` for words."""

    a: torch.Tensor
    """[rank, in]"""
    b: torch.Tensor
    """[out, rank]"""
    scaling: float
    embedding: bool = False
    magnitude: torch.Tensor | None = None
    """[out]; with it the change is DoRA's."""
    bias: torch.Tensor | None = None
    """[out], of B."""

    @property
    def rank(self) -> int:
        """Of this module."""
        return int(self.a.shape[0])

    def delta(self) -> torch.Tensor:
        """What is added to the weight, [out, in], in fp32 or better; of a table as its weight lies, [rows, width]."""
        wide = torch.promote_types(self.a.dtype, torch.float32)
        change = (self.b.to(wide) @ self.a.to(wide)) * self.scaling
        return change.T if self.embedding else change


@dataclass(slots=True)
class Adapter:
    """Card, peft's config, and the weights by module; `owner` keeps what they are views of."""

    card: LoRACard
    config_text: str
    """peft's adapter_config.json, letter for letter."""
    tensors: dict[str, torch.Tensor]
    modules: dict[str, Factors]
    whole: dict[str, dict[str, torch.Tensor]]
    """Parameters that take the place of the module's own: modules_to_save and biases."""
    file_metadata: dict[str, str] = field(default_factory=dict)
    held_bytes: int = 0
    """Of the mapping, and of what was made of quantised matrices."""
    owner: Any = None

    @property
    def bytes(self) -> int:
        """What its weights take in memory."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def assemble(
    config_text: str,
    tensors: Mapping[str, torch.Tensor],
    path: str,
    card: LoRACard | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Adapter:
    """An adapter of peft's config and weights; refused with all that is wrong with them."""
    config = json.loads(config_text)
    kind = str(config.get("peft_type"))
    if kind != "LORA":
        raise UserError("lora.kind", path=path, kind=kind)
    problems = list(_problems_of_options(config)) + list(_problems_of_numbers(config))
    keys = {name: parse(name) for name in tensors}
    problems += [Problem(code="lora.key", field=name, params={"key": name}) for name, key in keys.items() if not key]
    known = [key for key in keys.values() if key is not None]
    problems += _problems_of_values(known, tensors)
    if not problems:
        made = card or card_of(config, known, tensors)
        modules, whole = gather(known, tensors, made)
        problems += _problems_of_modules(modules, made, known)
        problems += _problems_of_dora(modules, bool(config.get("use_dora")))
    if problems:
        raise Refused("lora.refused", path=path, count=len(problems), problems=problems)
    return Adapter(made, config_text, dict(tensors), modules, whole, dict(metadata or {}))


def gather(
    keys: list[Key], tensors: Mapping[str, torch.Tensor], card: LoRACard
) -> tuple[dict[str, Factors], dict[str, dict[str, torch.Tensor]]]:
    """Weights by module: factors of those that have them, and what takes the place of a module's own."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    whole: dict[str, dict[str, torch.Tensor]] = {}
    for key in keys:
        if key.role == "whole":
            whole.setdefault(key.module, {})[key.parameter] = tensors[key.name]
        else:
            found.setdefault(key.module, {})[key.role] = tensors[key.name]
    modules, plain = dict[str, Factors](), not card.rank_pattern and not card.alpha_pattern
    usual = card.scaling_of("") if plain else 0.0
    for path, roles in found.items():
        embedding = "embedding_A" in roles
        a, b = (roles.get("embedding_" * embedding + one) for one in "AB")
        if a is None or b is None:
            continue
        scaling = usual if plain else card.scaling_of(path)
        modules[path] = Factors(a, b, scaling, embedding, roles.get("magnitude"), roles.get("B_bias"))
    return modules, whole


def card_of(config: Mapping[str, Any], keys: list[Key], tensors: Mapping[str, torch.Tensor]) -> LoRACard:
    """A card of what the config and the weights say."""
    stored = {NAMES[tensors[key.name].dtype] for key in keys if key.role in FACTORS}
    base = str(config.get("base_model_name_or_path") or "").encode(errors="replace").decode()
    return LoRACard(
        base_model=PurePosixPath(base.replace("\\", "/")).name if _is_path(base) else base,
        tuner="dora" if config.get("use_dora") else "lora",
        rank=int(config.get("r", 8)),
        alpha=float(config.get("lora_alpha", 8)),
        rank_pattern=config.get("rank_pattern") or {},
        alpha_pattern=config.get("alpha_pattern") or {},
        targets=tuple(dict.fromkeys(key.module for key in keys if key.role in FACTORS)),
        scaling="rslora" if config.get("use_rslora") else "standard",
        dtype=stored.pop() if len(stored) == 1 else "mixed",  # type: ignore[arg-type]
    )


def _is_path(name: str) -> bool:
    return name.startswith(("/", ".", "~")) or "\\" in name or name.count("/") > 1 or name[1:2] == ":"


def _problems_of_options(config: Mapping[str, Any]) -> Iterator[Problem]:
    for option in UNSUPPORTED:
        if config.get(option):
            params = {"option": option, "value": str(config[option])[:100]}
            yield Problem(code="lora.option", field=option, params=params)
    for option in sorted(map(str, set(config) - KNOWN - set(UNSUPPORTED))):
        if config[option]:  # peft leaves out what it does not know, and computes something else
            params = {"option": option[:100], "value": str(config[option])[:100]}
            yield Problem(code="lora.unknown_option", field=option[:100], params=params)
    begun = config.get("init_lora_weights")
    if isinstance(begun, str) and (begun == "mica" or any(begun.startswith(name) for name in SPLITTING)):
        yield Problem(
            code="lora.option", field="init_lora_weights", params={"option": "init_lora_weights", "value": begun}
        )


def _problems_of_numbers(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Ranks and alphas, of all and by pattern."""
    patterns = dict[str, Mapping[str, Any]]()
    for name in ("rank_pattern", "alpha_pattern"):
        patterns[name] = config.get(name) or {}
        if not isinstance(patterns[name], Mapping):
            yield _wrong(name, patterns[name], "names of modules, each with its number")
            patterns[name] = {}
        for pattern in bad_patterns(patterns[name]):
            params = {"pattern": pattern.encode(errors="replace").decode(), "field": name}
            yield Problem(code="lora.pattern", field=name, params=params)
    for name, rank in {"r": config.get("r", 8), **patterns["rank_pattern"]}.items():
        if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
            yield Problem(code="lora.rank", field=name, params={"module": name})
    for name, alpha in {"lora_alpha": config.get("lora_alpha", 8), **patterns["alpha_pattern"]}.items():
        if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not abs(alpha) <= LARGEST:
            yield _wrong(name, alpha, "a finite number")


def _wrong(name: str, value: Any, wanted: str) -> Problem:
    params = {"setting": name, "value": str(value)[:100], "wanted": wanted}
    return Problem(code="lora.value", field=name, params=params)


def _problems_of_values(keys: list[Key], tensors: Mapping[str, torch.Tensor]) -> Iterator[Problem]:
    for key in keys:
        tensor = tensors[key.name]
        known = DTYPES if key.role != "whole" else DTYPES | RAW
        if tensor.dtype not in known.values():
            dtype = str(tensor.dtype).removeprefix("torch.")
            yield Problem(code="lora.dtype", field=key.name, params={"key": key.name, "dtype": dtype})
        elif count := not_finite(tensor):
            yield Problem(code="lora.not_finite", field=key.name, params={"key": key.name, "count": count})
    roles: dict[str, set[str]] = {}
    for key in keys:
        if key.role != "whole":
            roles.setdefault(key.module, set()).add(key.role)
    for module, have in roles.items():
        first, second = ("embedding_A", "embedding_B") if have & {"embedding_A", "embedding_B"} else ("A", "B")
        for one in (first, second):
            if one not in have:
                params = {"module": module, "have": ", ".join(sorted(have)), "missing": one}
                yield Problem(code="lora.half", field=module, params=params)


def not_finite(tensor: torch.Tensor) -> int:
    """How many values are NaN or infinite."""
    if not tensor.is_floating_point():
        return 0
    return int(tensor.numel() - torch.isfinite(tensor).sum())


def _problems_of_dora(modules: Mapping[str, Factors], dora: bool) -> Iterator[Problem]:
    """With `use_dora` each module has a magnitude, else none: peft would begin with another, or leave it out."""
    for path, one in modules.items():
        if (one.magnitude is not None) != dora:
            have, missing = ("matrices", "magnitude") if dora else ("a magnitude", "use_dora in its config")
            yield Problem(code="lora.half", field=path, params={"module": path, "have": have, "missing": missing})


def _problems_of_modules(modules: Mapping[str, Factors], card: LoRACard, keys: list[Key]) -> Iterator[Problem]:
    if not any(key.role in FACTORS for key in keys):
        yield Problem(code="lora.half", params={"module": "-", "have": "no matrices", "missing": "A or B"})
    for path, one in modules.items():
        if not math.isfinite(one.scaling):
            yield _wrong(f"alpha of {path}", one.scaling, "a finite number")
        shapes = {"module": path, "a": list(one.a.shape), "b": list(one.b.shape)}
        fits = one.a.dim() == one.b.dim() == 2 and one.a.shape[0] == one.b.shape[1]
        vectors = [part for part in (one.magnitude, one.bias) if part is not None]
        if not fits or any(part.dim() != 1 for part in vectors):
            yield Problem(code="lora.shape", field=path, params=shapes)
        elif one.a.shape[0] == 0 or one.b.shape[0] == 0 or one.a.shape[1] == 0:
            yield Problem(code="lora.rank", field=path, params={"module": path})
        elif one.rank != card.rank_of(path):
            params = {"module": path, "have": one.rank, "said": card.rank_of(path)}
            yield Problem(code="lora.rank_other", field=path, params=params)
