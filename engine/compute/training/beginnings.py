"""Beginnings of an adapter that come from the rows it will learn from, or from weights that were made smaller.

They are made once, before the first step. What a later attempt needs in order to begin alike (CorDA and LoRA-GA change
the base model's weights) lies in each checkpoint, so that no row is looked at again.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from engine.compute.data.preference import side_by_side
from engine.compute.data.questions import Asked
from engine.compute.data.tokenise import Encoded
from engine.compute.training.batches import IGNORED, Batch, BatchLoader
from engine.compute.training.checkpoint import Chance
from engine.compute.training.loftq import begin_loftq
from engine.compute.training.plain_lora import adapter_state
from engine.compute.training.tuners import lora_again
from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig
from engine.contract.tuners import PASSES, TUNERS

FILE = "beginning.safetensors"
"""In a checkpoint: what the adapter began with."""
Told = Callable[[float], None]
"""Hears which share of a pass is done; may raise to end it."""


@dataclass
class Begun:
    """A model whose adapter has its beginning."""

    model: Any
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    """What the same beginning is made of without rows; empty where the adapter's weights say it all."""

    def save(self, folder: Path) -> None:
        """Into a checkpoint."""
        if self.kept:
            save_file({name: tensor.contiguous() for name, tensor in self.kept.items()}, str(folder / FILE))


def has_pass(config: TunerConfig) -> bool:
    """Whether something is done between loading and the first step."""
    return "init" in TUNERS[config.kind].settings and config.init in PASSES


def begin_by_rows(
    model: Any, config: TunerConfig, loader: BatchLoader, device: torch.device, base: Path, told: Told = lambda _: None
) -> Begun:
    """Give the adapter its beginning; `base` holds the base model's files.

    The rows are those of the first epoch, in its order; nothing of training moves on for it.
    """
    if not has_pass(config):
        return Begun(model)
    chance, tokens = Chance.now(), loader.tokens
    torch.manual_seed(loader.plan.seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft wraps the model a second time, and gradients end at the embedding
            return _begin(model, config, loader, device, base, told)
    finally:
        loader.tokens = tokens
        chance.restore()


def _begin(model: Any, config: TunerConfig, loader: BatchLoader, device: torch.device, base: Path, told: Told) -> Begun:
    if config.init == "eva":
        _eva(model, loader, device)
        return Begun(model)
    if config.init == "loftq":
        begin_loftq(model, base, told)
        return Begun(model, adapter_state(model))
    rows = list(_texts(loader, config.init_rows, learned=config.init == "lora_ga"))
    if not rows:
        raise UserError("config.init_nothing", init=config.init, rows=min(config.init_rows, len(loader.pool)))
    steps = _Rows(rows, device, told)
    _check_rank(model, config)
    try:
        return _corda(model, config, steps) if config.init == "corda" else _lora_ga(model, config, steps)
    except (ValueError, TypeError, ZeroDivisionError, torch.linalg.LinAlgError) as error:
        raise UserError("config.tuner_refused", tuner=config.init, detail=str(error)[:500]) from error


def begin_again(model: Any, config: TunerConfig, checkpoint: Path) -> Begun:
    """The beginning as an earlier attempt made it, before its later weights are put in."""
    if not has_pass(config) or config.init == "eva":
        return Begun(model)
    try:
        kept = load_file(str(checkpoint / FILE))
    except FileNotFoundError as error:
        raise UserError("checkpoint.none_good", detail=f"{checkpoint.name} has no file {FILE}.") from error
    if config.init == "corda":
        settings, base = _apart(model, config)
        for name, module in _targets(base, settings):
            held = {f"{part}_WC": kept[f"{name}.{part}"].clone().to(module.weight.device) for part in "SUV"}
            module.eigens = corda().CordaEigens(**held)
        return Begun(lora_again(base, config, settings), kept)
    _put_in(model, kept)
    if config.init == "lora_ga":
        _take_out(model)
        model.peft_config["default"] = _settings(model, config)
    return Begun(model, kept)


def _eva(model: Any, loader: BatchLoader, device: torch.device) -> None:
    """The first matrices become the main directions of what the modules are given (arXiv 2410.07170)."""
    from peft import initialize_lora_eva_weights

    initialize_lora_eva_weights(model, _Batches(loader, device), show_progress_bar=False)


def _corda(model: Any, config: TunerConfig, rows: _Rows) -> Begun:
    """CorDA: directions of the weights, weighed by what the rows put into them (arXiv 2406.05223)."""
    settings, base = _apart(model, config)
    corda().preprocess_corda(base, settings, run_model=lambda: rows.pass_forward(base))
    kept = dict[str, torch.Tensor]()
    for name, module in _targets(base, settings):
        found = module.eigens
        parts = zip("SUV", (found.S_WC, found.U_WC, found.V_WC), strict=True)
        kept |= {f"{name}.{part}": tensor.detach().cpu().clone() for part, tensor in parts}
    return Begun(lora_again(base, config, settings), kept)


def _lora_ga(model: Any, config: TunerConfig, rows: _Rows) -> Begun:
    """LoRA-GA: directions of the gradient that the whole weights would have (arXiv 2407.05000)."""
    from peft.tuners.lora.loraga import preprocess_loraga

    settings, base = _apart(model, config)
    preprocess_loraga(base, settings, lambda: rows.pass_backward(base))
    made = lora_again(base, config, settings)
    return Begun(made, adapter_state(made))


def _settings(model: Any, config: TunerConfig) -> Any:
    """peft's config of the adapter there is, with its beginning."""
    from peft import LoraConfig
    from peft.tuners.lora.config import CordaConfig, LoraGAConfig

    settings: LoraConfig = copy.deepcopy(model.peft_config["default"])
    settings.init_lora_weights = config.init
    if config.init == "corda":
        settings.corda_config = CordaConfig(corda_method=config.corda_method)
    else:
        settings.lora_ga_config = LoraGAConfig(
            direction=config.ga_direction, scale=config.ga_scale, stable_gamma=config.ga_gamma
        )
    return settings


def _apart(model: Any, config: TunerConfig) -> tuple[Any, Any]:
    """How the adapter is to be made, and the base model without one."""
    settings = _settings(model, config)
    base = model.unload()
    if hasattr(base, "peft_config"):
        del base.peft_config
    return settings, base


def _targets(base: Any, settings: Any) -> Iterator[tuple[str, Any]]:
    yield from corda().target_modules(base, settings)


def corda() -> Any:
    """peft's module for CorDA. It takes `dataclass` from attrs without asking for that; the library's own does."""
    name = "peft.tuners.lora.corda"
    if name in sys.modules or importlib.util.find_spec("attr") is not None:
        return importlib.import_module(name)
    sys.modules["attr"] = types.ModuleType("attr")
    vars(sys.modules["attr"])["dataclass"] = dataclass
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules["attr"]


def _check_rank(model: Any, config: TunerConfig) -> None:
    """peft takes what is there where a matrix has fewer directions than are asked for; here that is refused."""
    from peft.tuners.lora.layer import Linear

    for name, module in model.named_modules():
        if isinstance(module, Linear):
            rank, shape = module.r["default"], module.get_base_layer().weight.shape
            most = min(shape) // (2 if config.init == "lora_ga" else 1)
            if rank > most:
                path = name.removeprefix("base_model.model.")
                raise UserError("config.init_rank", init=config.init, rank=rank, module=path, most=most)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _put_in(model: Any, kept: dict[str, torch.Tensor]) -> None:
    """Put first and second matrices into the adapter."""
    for name, module in model.named_modules():
        for part in ("lora_A", "lora_B"):
            if f"{name}.{part}.weight" in kept:
                getattr(module, part)["default"].weight.copy_(kept[f"{name}.{part}.weight"])


@torch.no_grad()  # type: ignore[untyped-decorator]
def _take_out(model: Any) -> None:
    """Take what the adapter adds out of the base, number by number as peft does it."""
    from peft.tuners.lora.layer import Linear

    for module in model.modules():
        if not isinstance(module, Linear):
            continue
        first, second = module.lora_A["default"].weight, module.lora_B["default"].weight
        weight = module.get_base_layer().weight
        added = module.scaling["default"] * (second.to(weight.dtype).float() @ first.to(weight.dtype).float())
        turned = weight.data.float().T if module.fan_in_fan_out else weight.data.float()
        rest = (turned - added).to(weight.dtype)
        weight.data = rest.T if module.fan_in_fan_out else rest


def _texts(loader: BatchLoader, count: int, learned: bool) -> Iterator[Encoded]:
    """The first rows of the epoch, each once and as one text (of a pair the better answer)."""
    order = dict.fromkeys(itertools.chain.from_iterable(loader.order()))
    for index in itertools.islice(order, count):
        row = loader.pool.fetch([index])[0]
        text = row.sides[0][1] if isinstance(row, Asked) else side_by_side([row])[0][0]
        if len(text) and (not learned or any(text.trained[1:])):
            yield text


class _Rows:
    """Rows that pass through a model one by one, without filling."""

    def __init__(self, texts: list[Encoded], device: torch.device, told: Told) -> None:
        self._texts, self._device, self._told = texts, device, told

    def _each(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for number, text in enumerate(self._texts):
            self._told(number / len(self._texts))
            ids = np.frombuffer(text.ids, dtype=np.int32).astype(np.int64)
            labels = np.where(np.frombuffer(text.trained, dtype=np.int8) == 1, ids, IGNORED)
            yield torch.from_numpy(ids)[None].to(self._device), torch.from_numpy(labels)[None].to(self._device)

    def pass_forward(self, model: Any) -> None:
        """Only what goes in is looked at."""
        for ids, _labels in self._each():
            model(input_ids=ids, use_cache=False)

    def pass_backward(self, model: Any) -> None:
        """Each row's mean loss over its learned tokens."""
        for ids, labels in self._each():
            model(input_ids=ids, labels=labels, use_cache=False).loss.backward()


class _Batches:
    """The batches of an epoch on the device; as often as somebody asks."""

    def __init__(self, loader: BatchLoader, device: torch.device) -> None:
        self._loader, self._device = loader, device

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            yield {name: tensor.to(self._device) for name, tensor in batch.items()}
