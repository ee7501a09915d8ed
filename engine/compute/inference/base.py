"""Loading a base model and its tokenizer from a local folder, never from a hub, never from pickles."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.compute.inference.folder import check_folder, read_json
from engine.compute.inference.rope import changed_config, without_memory
from engine.contract.bundled import MODELS, locate
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig
from engine.contract.tuners import QUANTISERS, Quantisation

HEADS = ("score.", "classifier.")
"""What transformers calls the head that gives numbers."""


def model_folder(config: ModelConfig) -> Path:
    """The folder a model setting means; refuses what is not there."""
    folder = locate(config)
    if folder is None:
        raise UserError("model.not_here", path=config.path, choices=", ".join(MODELS))
    check_folder(folder)
    return folder


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise _explained(folder, error, "model.bad_tokenizer") from error
    return tokenizer


def load_model(
    folder: Path,
    dtype: torch.dtype,
    attention: str,
    device: torch.device,
    held: Quantisation = "none",
    scores: bool = False,
    vectors: bool = False,
    head: Mapping[str, Any] | None = None,
    changed: Mapping[str, Any] | None = None,
) -> Any:
    """The model with its weights, on its device; weights that are missing or of another shape are refused.

    With `scores` it gives each row numbers in place of text, one or as `head` says; the head for it may be new. With
    `vectors` it has no head at all. `changed`: what its config is to say otherwise.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

    options: dict[str, Any] = {} if attention == "auto" else {"attn_implementation": attention}
    if held != "none":
        options |= {"quantization_config": _fewer_bits(held, dtype), "device_map": {"": device}}
    if scores and not vectors:
        options |= head or {"num_labels": 1}
    if changed:
        own = {name: options.pop(name) for name in [*(head or {"num_labels": 1})] if name in options}
        options["config"] = changed_config(folder, dict(changed), **own)
    loader = AutoModel if vectors else AutoModelForSequenceClassification if scores else AutoModelForCausalLM
    try:
        model, found = loader.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **options,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if "allocate" in str(error):
            raise
        raise _explained(folder, error, "model.cannot_load") from error
    missing = {key for key in found["missing_keys"] if not (scores and key.startswith(HEADS))}
    wrong = sorted(missing) + [_mismatch(key) for key in sorted(found["mismatched_keys"])]
    if wrong:
        names = ", ".join(wrong[:5])
        raise UserError("model.weights_incomplete", path=str(folder), count=len(wrong), names=names)
    if changed:
        without_memory(model)
    return model if held != "none" else model.to(device)


def _fewer_bits(held: Quantisation, dtype: torch.dtype) -> Any:
    """How weights are held: as QLoRA does (arXiv 2305.14314), as LLM.int8 (arXiv 2208.07339), or by torchao."""
    name = QUANTISERS[held]
    if importlib.util.find_spec(name) is None:
        raise UserError("package.missing", used_for=held, package=name, install=name, field="model.quantisation")
    if name == "torchao":
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # else it tells of each matrix in each step
    from transformers import BitsAndBytesConfig

    if held == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def padding_token(tokenizer: Any) -> int:
    """A token to fill rows with; its value never matters, for it is never learned and never seen."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


def _mismatch(key: Any) -> str:
    """A weight of another shape: its name, its shape, and the shape config.json asks for."""
    name, *shapes = key if isinstance(key, tuple) else (key,)
    return f"{name} ({' / '.join(str(tuple(shape)) for shape in shapes)})" if shapes else str(name)


def _explained(folder: Path, error: Exception, otherwise: str) -> UserError:
    """What keeps transformers from loading a model, where that can be said better than it does."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config = read_json(folder / "config.json", "model.no_config")
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        code = "model.own_code" if config.get("auto_map") else "model.unknown_architecture"
        return UserError(code, path=str(folder), architecture=str(kind))
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as cause:  # noqa: BLE001 - whatever it is, it is the config's fault
        return UserError("model.bad_config", path=str(folder), detail=_short(cause))
    return UserError(otherwise, path=str(folder), detail=_short(error))


def _short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:600]
