"""Which weights are trained: an adapter beside frozen weights, some weights, or all of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from engine.compute.training.blocks import add_blocks
from engine.compute.training.new_tokens import add_tokens, token_places
from engine.compute.training.prompts import begin_with_text, prompt_settings, token_numbers
from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig
from engine.contract.tuners import PASSES, TUNERS


def linear_names(model: torch.nn.Module) -> list[str]:
    """Last parts of the names of the model's linear modules, without the output head."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    names = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if module is not head and (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D")
    }
    return sorted(names)


def is_called(path: str, name: str) -> bool:
    """Whether a module is meant by a name: its path, or the end of it."""
    return path == name or path.endswith("." + name)


def check_targets(wanted: Iterable[str], model: torch.nn.Module) -> str | list[str]:
    """Target modules in peft's form; a name the model does not have is refused with the nearest ones."""
    targets = list(wanted)
    if targets == ["all-linear"]:
        return "all-linear"
    known = linear_names(model)
    paths = [name for name, _ in model.named_modules()]
    for target in targets:
        if target == "all-linear":
            raise UserError("config.targets_mixed")
        if not any(is_called(path, target) for path in paths):
            near = difflib.get_close_matches(target, known, n=3, cutoff=0.3) or known[:3]
            raise UserError("config.target_unknown", target=target, near=", ".join(near), known=", ".join(known))
    return targets


def _lora(model: Any, config: TunerConfig, task: str, numbers: list[int]) -> Any:
    from peft import EvaConfig

    later = config.init in PASSES and config.init != "eva"  # `beginnings` makes it, once there are rows
    init: Any = True if config.init == "default" or later else config.init
    made = _adapted(
        model,
        config,
        task,
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=check_targets(config.targets, model),
        use_rslora=config.rslora,
        use_dora=config.kind == "dora",
        init_lora_weights=init,
        # Every module keeps its rank: a resumed run has the same shapes without looking at rows again.
        eva_config=EvaConfig(rho=1.0) if config.init == "eva" else None,
        rank_pattern=dict(config.rank_pattern),
        alpha_pattern=dict(config.alpha_pattern),
        trainable_token_indices=token_places(model, numbers) if numbers else None,
        bias="none",
    )
    return _first_frozen(made, config)


def lora_again(base: Any, config: TunerConfig, settings: Any) -> Any:
    """A LoRA by peft's own config, around a model that was made ready for how it begins."""
    from peft import get_peft_model

    return _first_frozen(get_peft_model(base, settings), config)


def _first_frozen(made: Any, config: TunerConfig) -> Any:
    """LoRA-FA (arXiv 2308.03303): the first matrices stay."""
    for name, parameter in made.named_parameters():
        if config.freeze_a and ".lora_A." in name:
            parameter.requires_grad_(False)
    return made


def _of_peft(model: Any, config: TunerConfig, task: str) -> Any:
    """A method of peft's, by the settings it takes."""
    tuner = TUNERS[config.kind]
    settings: dict[str, Any] = dict(config.options)
    if "targets" in tuner.settings:
        settings["target_modules"] = check_targets(config.targets, model)
    for name, usual in (("rank", "r"), ("alpha", ""), ("dropout", "")):
        if name in tuner.settings:
            value = getattr(config, name)
            settings[tuner.given.get(name, usual)] = int(value) if name == "alpha" else value
    if config.kind == "adalora":
        settings = _adalora(config, settings)
    if config.kind == "ia3":
        settings |= _ia3_modules(model, settings.pop("target_modules"))
    return _adapted(model, config, task, **settings)


def _adalora(config: TunerConfig, settings: dict[str, Any]) -> dict[str, Any]:
    """AdaLoRA by peft's names; how many steps there are is told later (`allocation`)."""
    return {
        "target_modules": settings["target_modules"], "init_r": config.rank, "target_r": config.target_rank,
        "lora_alpha": config.alpha, "lora_dropout": config.dropout, "beta1": config.beta1, "beta2": config.beta2,
        "orth_reg_weight": config.orth_weight, "total_step": 1 << 30, "bias": "none",
    }  # fmt: skip


def _adapted(model: Any, config: TunerConfig, task: str, **settings: Any) -> Any:
    """The model with an adapter of peft's; what peft refuses is said in its words."""
    from peft import get_peft_model
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as KNOWN

    made = {kind.value: form for kind, form in KNOWN.items()}[TUNERS[config.kind].peft]
    if config.modules_to_save:
        _check_modules(config.modules_to_save, model)
        settings["modules_to_save"] = list(config.modules_to_save)
    try:
        return get_peft_model(model, made(task_type=task, **settings))
    except (ValueError, TypeError, AssertionError, ZeroDivisionError) as error:
        raise UserError("config.tuner_refused", tuner=config.kind, detail=str(error)[:500]) from error


def _ia3_modules(model: Any, targets: str | list[str]) -> dict[str, Any]:
    """Which modules IA3 scales, and which of them at their entrance: the last ones of a feed-forward block."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FEEDFORWARD
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as USUAL

    kind = model.config.model_type
    chosen = USUAL.get(kind) or linear_names(model) if targets == "all-linear" else list(targets)
    ends = FEEDFORWARD.get(kind) or ["down_proj"]
    inner = [name for name in chosen if name.rpartition(".")[2] in ends]
    return {"target_modules": chosen, "feedforward_modules": inner}


def _check_modules(wanted: Sequence[str], model: torch.nn.Module) -> None:
    """Modules that are to be trained whole must be there."""
    known = sorted({name.rpartition(".")[2] for name, _ in model.named_modules() if name})
    for name in wanted:
        if not any(is_called(path, name) for path, _ in model.named_modules()):
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or known[:3]
            raise UserError("config.module_unknown", module=name, near=", ".join(near))


def _full(model: Any, config: TunerConfig) -> Any:
    del config
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return model


def _freeze(model: Any, config: TunerConfig) -> Any:
    """Some layers, and modules that are named, learn; everything else stays."""
    _check_modules(config.modules_to_save, model)
    layers = layers_of(model)
    if config.layers == 0 and not config.modules_to_save:
        raise UserError("config.freeze_nothing")
    if abs(config.layers) > len(layers):
        raise UserError("config.freeze_layers", layers=abs(config.layers), have=len(layers))
    taught = layers[len(layers) - config.layers :] if config.layers > 0 else layers[: -config.layers]
    whole = {id(p) for layer in taught for p in layer.parameters()}
    for path, module in model.named_modules():
        if any(is_called(path, name) for name in config.modules_to_save):
            whole |= {id(p) for p in module.parameters()}
    whole |= _new_heads(model)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point() and id(parameter) in whole)
    return model


def layers_of(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks a language model is a stack of: its longest list of modules of one class."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    stacks = [list(found) for found in lists if len({type(layer) for layer in found}) == 1]
    return max(stacks, key=len, default=[])


def _lisa(model: Any, config: TunerConfig) -> Any:
    """All of it may learn; which layers do, `lisa` says step by step."""
    have = len(layers_of(model))
    if config.layers > have:
        raise UserError("config.freeze_layers", layers=config.layers, have=have)
    return _full(model, config)


def _llama_pro(model: Any, config: TunerConfig) -> Any:
    """New blocks learn, and a head that is new."""
    made = add_blocks(model, config.blocks, layers_of(model))
    taught = {id(p) for layer in made for p in layer.parameters()} | _new_heads(model)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point() and id(parameter) in taught)
    return model


def _new_heads(model: Any) -> set[int]:
    """Parameters of the head of a model that scores."""
    heads = filter(None, (getattr(model, name, None) for name in ("score", "classifier")))
    return {id(p) for head in heads for p in head.parameters()}


_WHOLE: dict[str, Callable[[Any, TunerConfig], Any]] = {
    "full": _full, "freeze": _freeze, "lisa": _lisa, "llama_pro": _llama_pro,
}  # fmt: skip


def apply_tuner(model: Any, config: TunerConfig, task: str = "CAUSAL_LM", tokenizer: Any = None) -> Any:
    """The model made ready for training; `task` as peft calls it: SEQ_CLS for a model that gives numbers.

    The tokenizer is asked by methods whose settings name texts.
    """
    numbers = add_tokens(model, tokenizer, config.new_tokens) if config.new_tokens else []
    if TUNERS[config.kind].virtual:
        made = _adapted(model, config, task, **prompt_settings(model, config))
        begin_with_text(made, config, tokenizer)
        return made
    if config.kind == "trainable_tokens":
        known = token_numbers(config, tokenizer, model)
        places = {"target_modules": list(token_places(model, numbers))} if numbers else {}
        return _adapted(model, config, task, token_indices=sorted({*known, *numbers}), **places)
    if config.kind in _WHOLE:
        return _WHOLE[config.kind](model, config)
    if config.kind in ("lora", "qlora", "dora"):
        return _lora(model, config, task, numbers)
    return _of_peft(model, config, task)


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """All parameters and those that are trained."""
    everything = sum(parameter.numel() for parameter in model.parameters())
    return everything, sum(p.numel() for p in model.parameters() if p.requires_grad)
