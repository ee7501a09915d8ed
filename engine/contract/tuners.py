"""Every tuner by one declaration: which settings it takes, what it leaves behind, and options of its own.

The config, the wizard, the docs and the worker are made from it. Options of methods that peft brings are listed in
`resources/tuners/peft.json`, which is written from peft's own registry (`engine.compute.training.peft_options`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from engine.contract.errors import Problem
from engine.contract.options import Value, check_given

OPTIONS = Path(__file__).parents[2] / "resources" / "tuners" / "peft.json"
LORA = (
    *("rank", "alpha", "dropout", "targets", "rslora", "init", "init_rows", "corda_method", "ga_direction", "ga_scale"),
    *("ga_gamma", "plus_ratio", "rank_pattern", "alpha_pattern", "adapter"),
)
LONGEST_TOKEN = 200
"""Characters of a new token."""
SPLITTING = ("pissa", "olora", "corda", "lora_ga")
"""Beginnings that take directions out of the base model's weights."""
PASSES = ("eva", "corda", "lora_ga", "loftq")
"""Beginnings that are made once rows and weights are there, before the first step."""
Quantisation = Literal["none", "8bit", "4bit", "torchao_8bit", "hqq_8bit", "hqq_4bit"]
HOLDINGS: tuple[Quantisation, ...] = get_args(Quantisation)
QUANTISERS: dict[str, str] = {
    "8bit": "bitsandbytes", "4bit": "bitsandbytes", "torchao_8bit": "torchao", "hqq_8bit": "hqq", "hqq_4bit": "hqq",
}  # fmt: skip
"""Which package holds the weights; those other than bitsandbytes go with LoRA only.

peft's LoRA has no 4 bits of torchao, and transformers 5 says of HQQ that it is not available yet: that one is declared
and refused.
"""
RUNNABLE_QUANTISATION = ("none", "8bit", "4bit", "torchao_8bit")


@dataclass(frozen=True)
class Tuner:
    """A way of choosing which weights are trained."""

    name: str
    settings: tuple[str, ...] = ()
    """Those of `TunerConfig` it takes; the others are not used."""
    peft: str = ""
    """Its name in peft; empty: ours."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Where peft calls a setting of ours by another name."""
    quantised: bool = False
    """It can sit beside weights held in 8 or 4 bits."""
    virtual: bool = False
    """It learns tokens that stand before every row and are no text."""
    whole_model: bool = False
    """It changes the model itself; what it leaves is a model, not an adapter."""


PROMPT = ("virtual_tokens",)
ENCODER = ("encoder", "encoder_size", "encoder_layers", "encoder_dropout")
"""What p-tuning makes its virtual tokens with."""
ALLOCATION = ("target_rank", "tinit", "tfinal", "delta_t", "beta1", "beta2", "orth_weight")
"""AdaLoRA's own settings."""


def _of_peft(name: str, *settings: str, **given: str) -> Tuner:
    """A method of peft's that takes target modules, and options of its own."""
    taken = (*settings, "targets", "modules_to_save", "options")
    return Tuner(name, taken, name.upper(), given, quantised=name in ("ia3", "vera", "randlora", "oft"))


_ALL = (
    Tuner("lora", (*LORA, "freeze_a", "modules_to_save", "new_tokens"), "LORA", quantised=True),
    Tuner("qlora", (*LORA, "freeze_a", "modules_to_save"), "LORA", quantised=True),
    Tuner("full", ("new_tokens",), whole_model=True),
    Tuner("dora", (*LORA, "modules_to_save", "new_tokens"), "LORA", quantised=True),
    Tuner(
        "adalora", ("rank", *ALLOCATION, "alpha", "dropout", "targets", "modules_to_save"), "ADALORA", quantised=True
    ),
    Tuner("freeze", ("layers", "modules_to_save"), whole_model=True),
    Tuner("lisa", ("layers", "every", "new_tokens"), whole_model=True),
    Tuner("llama_pro", ("blocks",), whole_model=True),
    _of_peft("ia3"),
    _of_peft("loha", "rank", "alpha", alpha="alpha"),
    _of_peft("lokr", "rank", "alpha", alpha="alpha"),
    _of_peft("vera", "rank", "dropout", dropout="vera_dropout"),
    _of_peft("boft", "dropout", dropout="boft_dropout"),
    _of_peft("oft", "dropout", dropout="module_dropout"),
    _of_peft("fourierft"),
    _of_peft("hra", "rank"),
    _of_peft("randlora", "rank", "alpha", "dropout", alpha="randlora_alpha", dropout="randlora_dropout"),
    _of_peft("vblora", "rank", "dropout", dropout="vblora_dropout"),
    _of_peft("miss", "rank", "dropout", dropout="miss_dropout"),
    _of_peft("shira", "rank"),
    Tuner("ln_tuning", ("modules_to_save",), "LN_TUNING"),
    Tuner("prompt_tuning", (*PROMPT, "prompt_init", "prompt_text"), "PROMPT_TUNING", virtual=True),
    Tuner("prefix_tuning", (*PROMPT, "prefix_projection", "encoder_size"), "PREFIX_TUNING", virtual=True),
    Tuner("p_tuning", (*PROMPT, *ENCODER), "P_TUNING", virtual=True),
    Tuner("trainable_tokens", ("tokens", "new_tokens"), "TRAINABLE_TOKENS"),
)
TUNERS = {tuner.name: tuner for tuner in _ALL}


LEFT_OUT = {
    "HQQ": "transformers 5 has no loader for its weights yet; `hqq_8bit` and `hqq_4bit` are refused until it has.",
    "torchao in 4 bits": "peft's LoRA takes torchao's weights in 8 bits only.",
    "ReFT": "No library among those kept here brings it; peft has none.",
    "LongLoRA": "Its shifted attention replaces the attention of each architecture by code of its own.",
    "Bottleneck adapters": "The library that brings them has model classes of its own.",
    "BAdam": "It is an optimiser over blocks of the whole model; no library among those kept here brings it.",
}
"""Methods people may look for, and why they are not here."""


@functools.cache
def options_of(name: str) -> dict[str, dict[str, Any]]:
    """Options of a tuner by name: type, default, what peft says of them, and the choices where there are few."""
    listed: dict[str, dict[str, dict[str, Any]]] = json.loads(OPTIONS.read_text(encoding="utf-8"))["tuners"]
    return listed.get(name, {})


def check_options(name: str, options: Mapping[str, Value], at: str = "tuner.options") -> Iterator[Problem]:
    """Everything that is wrong with the options given to a tuner."""
    yield from check_given(name, options, options_of(name), at)


def allocation_of(steps: int, tinit: int | None, tfinal: int | None, delta_t: int | None) -> tuple[int, int, int]:
    """AdaLoRA's steps before ranks go, steps after that, and steps between two times: of these, or as usual."""
    first = steps // 10 if tinit is None else tinit
    last = steps * 3 // 10 if tfinal is None else tfinal
    return first, last, max(1, (steps - first - last) // 50) if delta_t is None else delta_t


def quantisation_of(kind: str, wanted: Quantisation) -> Quantisation:
    """How the base weights are held: QLoRA means 4 bits where nothing else is said."""
    return "4bit" if kind == "qlora" and wanted == "none" else wanted


def steps_contradictions(tuner: Mapping[str, Any], steps: object) -> Iterator[Problem]:
    """What of `tuner` does not fit into as many steps as are asked for."""
    first, last = tuner.get("tinit"), tuner.get("tfinal")
    if tuner.get("kind") != "adalora" or not _counts(steps, *(one for one in (first, last) if one is not None)):
        return
    assert isinstance(steps, int)
    before, after, _ = allocation_of(steps, first, last, 1)
    if steps >= 1 and min(before, after) >= 0 and before + after >= steps:
        field = "tuner.tfinal" if last is not None else "tuner.tinit" if first is not None else "training.max_steps"
        params = {"tinit": before, "tfinal": after, "steps": steps}
        yield Problem(code="config.adalora_steps", field=field, params=params)


def _counts(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _new_tokens(name: str, tuner: Mapping[str, Any], held: Quantisation) -> Iterator[Problem]:
    """Where new tokens cannot be: they need rows of the embeddings that learn and that the result keeps."""
    if not tuner.get("new_tokens") or name not in TUNERS:
        return
    field, init = "tuner.new_tokens", tuner.get("init", "default")
    given = tuner["new_tokens"]
    for text in given if isinstance(given, Mapping) else ():
        if not str(text).strip() or len(str(text)) > LONGEST_TOKEN:
            params = {"token": str(text)[:80], "most": LONGEST_TOKEN}
            yield Problem(code="config.token_text", field=f"{field}.{text}", params=params)
    able = ", ".join(one.name for one in _ALL if "new_tokens" in one.settings)
    if "new_tokens" not in TUNERS[name].settings or held != "none":
        yield Problem(code="config.new_tokens_tuner", field=field, params={"tuner": name, "able": able})
    elif "init" in TUNERS[name].settings and init in (*SPLITTING, *PASSES):
        yield Problem(code="config.new_tokens_init", field="tuner.init", params={"init": init})


def contradictions(tuner: Mapping[str, Any], quantisation: Quantisation = "none") -> Iterator[Problem]:
    """What does not go together in the `tuner` part of a config, which may not be valid as a whole."""
    name, init = str(tuner.get("kind", "lora")), tuner.get("init", "default")
    held = quantisation_of(name, quantisation)
    others = QUANTISERS.get(held, "bitsandbytes") != "bitsandbytes"
    taken = ("lora",) if others else tuple(one.name for one in _ALL if one.quantised)
    if held != "none" and name in TUNERS and name not in taken:
        known = ", ".join(taken)
        params = {"tuner": name, "held": held, "known": known}
        yield Problem(code="config.quantised_tuner", field="model.quantisation", params=params)
    if held != "none" and init in SPLITTING:
        yield Problem(code="config.quantised_init", field="tuner.init", params={"init": init, "held": held})
    begins = name in TUNERS and "init" in TUNERS[name].settings
    if init == "loftq" and begins and held != "4bit":
        yield Problem(code="config.loftq_bits", field="tuner.init", params={"held": held})
    if name == "dora" and (init in SPLITTING or init == "loftq"):
        yield Problem(code="config.init_with_dora", field="tuner.init", params={"init": init})
    if name == "freeze" and tuner.get("layers") == 0 and not tuner.get("modules_to_save"):
        yield Problem(code="config.freeze_nothing", field="tuner.layers")
    layers = tuner.get("layers", 2)
    if name == "lisa" and _counts(layers) and -1024 <= layers < 1:
        yield Problem(code="config.lisa_layers", field="tuner.layers", params={"layers": layers})
    if name == "prompt_tuning" and tuner.get("prompt_init") == "text" and not tuner.get("prompt_text"):
        yield Problem(code="config.prompt_text", field="tuner.prompt_text")
    yield from _new_tokens(name, tuner, held)
    if name == "trainable_tokens" and not tuner.get("tokens") and not tuner.get("new_tokens"):
        yield Problem(code="config.tokens_needed", field="tuner.tokens")
    rank, target = tuner.get("rank", 16), tuner.get("target_rank", 8)
    if name == "adalora" and _counts(rank, target) and 1 <= rank <= target:
        yield Problem(code="config.adalora_rank", field="tuner.target_rank", params={"rank": rank, "target": target})
    options = tuner.get("options")
    if isinstance(options, Mapping) and options and name in TUNERS:
        yield from check_options(name, {str(key): value for key, value in options.items()})
