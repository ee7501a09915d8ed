"""The whole state of training in a folder, and back: weights, optimiser, schedule, chance and place in the data.

Weights are safetensors, what is ours is JSON; the optimiser's, scheduler's and chance's tensors are torch files
that are loaded with `weights_only=True`, and only after the caller found that their sha256 agrees.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, load_model, save_file, save_model

from engine.compute.training.allocation import all_ranks
from engine.compute.training.optimizers import plain_state, whole_state
from engine.compute.training.prompts import learns_prompt
from engine.contract.durable import write_json

if TYPE_CHECKING:
    from engine.compute.training.trainer import ForgeTrainer

ADAPTER = "adapter_model.safetensors"
MODEL = "model.safetensors"
PROMPT = "prompt_encoder.safetensors"
OPTIMISER = "optimizer.pt"
SCHEDULE = "schedule.pt"
CHANCE = "chance.pt"
PROGRESS = "progress.json"
TRAINER = "trainer_state.json"
"""The name transformers reads it by."""


@dataclass(frozen=True)
class Chance:
    """All random state a step may draw from."""

    python: tuple[Any, ...]
    numpy: dict[str, Any]
    torch_cpu: torch.Tensor
    torch_cuda: list[torch.Tensor]

    @classmethod
    def now(cls) -> Chance:
        """As it stands."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
        state = np.random.get_state(legacy=False)
        assert isinstance(state, dict)
        return cls(random.getstate(), state, torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Let the next draw be the one that would have come."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch_cpu)
        if self.torch_cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(self.torch_cuda)

    def save(self, path: Path) -> None:
        """Tensors as a torch file, the rest as JSON text inside it."""
        numpy = {**self.numpy, "state": {**self.numpy["state"], "key": self.numpy["state"]["key"].tolist()}}
        texts = json.dumps({"python": self.python, "numpy": numpy})
        torch.save({"texts": texts, "cpu": self.torch_cpu, "cuda": self.torch_cuda}, path)

    @classmethod
    def load(cls, path: Path) -> Chance:
        """What `save` wrote."""
        found = torch.load(path, map_location="cpu", weights_only=True)
        texts = json.loads(found["texts"])
        version, internal, gauss = texts["python"]
        numpy = texts["numpy"]
        numpy["state"]["key"] = np.array(numpy["state"]["key"], dtype=np.uint32)
        return cls((version, tuple(internal), gauss), numpy, found["cpu"], list(found["cuda"]))


def save_state(trainer: ForgeTrainer, folder: Path) -> None:
    """Everything the next step depends on, chance as it was at the call. Call it at a boundary, after the report."""
    from engine.compute.training.together import learned

    chance = Chance.now()
    if trainer.members is not None:
        trainer.members.ask("chance", folder=str(folder))
    weights, state = learned(trainer)
    save_weights(trainer.accelerator.unwrap_model(trainer.model), folder, weights)
    torch.save(plain_state(state), folder / OPTIMISER)
    schedule = {"schedule": trainer.lr_scheduler.state_dict()}
    if trainer.accelerator.scaler is not None:
        schedule["scaler"] = trainer.accelerator.scaler.state_dict()
    torch.save(schedule, folder / SCHEDULE)
    chance.save(folder / CHANCE)
    trainer.objective.save(folder)
    if trainer.ranks is not None:
        trainer.ranks.save(folder)
    trainer.state.save_to_json(str(folder / TRAINER))
    write_json(folder / PROGRESS, trainer.progress())
    chance.restore()


def save_weights(model: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """What is trained: the adapter as peft reads it, or the whole model as transformers does.

    `weights` are given, by name, where the model itself has parts of them only.
    """
    if weights is not None and hasattr(model, "peft_config"):
        model.save_pretrained(str(folder), save_embedding_layers=False, state_dict=weights)
    elif weights is not None:
        save_file(weights, str(folder / MODEL), metadata={"format": "pt"})
        model.config.save_pretrained(str(folder))
    elif hasattr(model, "peft_config"):
        with all_ranks(model):
            model.save_pretrained(str(folder), save_embedding_layers=False)
        if learns_prompt(model):  # peft writes what its network makes, not the network
            save_model(model.prompt_encoder["default"], str(folder / PROMPT), metadata={"format": "pt"})
    else:
        save_model(model, str(folder / MODEL), metadata={"format": "pt"})
        model.config.save_pretrained(str(folder))


def load_weights(model: Any, folder: Path) -> None:
    """Put saved weights into a model of the same make; raises ValueError if they do not fit it exactly."""
    if not hasattr(model, "peft_config"):
        load_model(model, folder / MODEL, strict=True)
        return
    if learns_prompt(model):
        load_model(model.prompt_encoder["default"], folder / PROMPT, strict=True)
        return
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    saved = load_file(str(folder / ADAPTER))
    with all_ranks(model):
        expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    wrong = saved.keys() ^ expected.keys()
    wrong |= {name for name in saved.keys() & expected.keys() if saved[name].shape != expected[name].shape}
    if wrong:
        raise ValueError(f"weights do not fit the model: {', '.join(sorted(wrong)[:5])}")
    with all_ranks(model):
        set_peft_model_state_dict(model, saved)


def load_optimiser(trainer: ForgeTrainer, folder: Path) -> None:
    """Optimiser, schedule and loss scale."""
    load_optimiser_only(trainer, folder)
    schedule = torch.load(folder / SCHEDULE, map_location="cpu", weights_only=True)
    trainer.lr_scheduler.load_state_dict(schedule["schedule"])
    if "scaler" in schedule and trainer.accelerator.scaler is not None:
        trainer.accelerator.scaler.load_state_dict(schedule["scaler"])


def load_optimiser_only(trainer: ForgeTrainer, folder: Path) -> None:
    """Its moments, and its learning rates as they were then."""
    saved = torch.load(folder / OPTIMISER, map_location="cpu", weights_only=True)
    if other_optimizer(trainer.args.optim.value, folder):
        for group, past in zip(trainer.optimizer.param_groups, saved["param_groups"], strict=True):
            _take_rates(group, past)
        return
    trainer.optimizer.load_state_dict(whole_state(saved))
    if trainer.members is not None and trainer.members.strategy == "fsdp2":
        from engine.compute.training.sharded import part_state

        part_state(trainer.optimizer.optimizer)


def _take_rates(group: dict[str, Any], past: Mapping[str, Any]) -> None:
    """Of another optimiser; some keep them as tensors, which must stay where they are."""
    for name in ("lr", "initial_lr"):
        if isinstance(group.get(name), torch.Tensor):
            group[name].fill_(float(past[name]))
        elif name in past:
            group[name] = float(past[name])


def other_optimizer(name: str, folder: Path) -> str:
    """The optimiser a checkpoint was made with, where it is another one: its moments are of no use then."""
    made_with = str(load_progress(folder).get("optimizer", name))
    return made_with if made_with != name else ""


def load_progress(folder: Path) -> dict[str, Any]:
    """What `ForgeTrainer.progress` gave."""
    found: dict[str, Any] = json.loads((folder / PROGRESS).read_bytes())
    return found
