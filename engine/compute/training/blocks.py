"""LLaMA-Pro: new blocks between the model's own that change nothing at first; only they learn (arXiv 2401.02415).

A new block is a copy of the one before it whose last matrices are zero, so that it adds nothing to the stream. The
result is a longer model of the same architecture.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from engine.contract.errors import UserError

LAST = ("o_proj", "out_proj", "c_proj", "down_proj", "fc2", "dense", "dense_4h_to_h", "wo", "w2")
"""Matrices that write into the stream, as architectures call them."""
TRIED = ((1, 2, 3, 4, 5, 6, 7, 8),)


def places(layers: int, blocks: int) -> list[int]:
    """Behind which layers new ones come, spread evenly; the last is always one of them."""
    return [round((number + 1) * layers / blocks) - 1 for number in range(blocks)]


def add_blocks(model: Any, blocks: int, found: list[torch.nn.Module]) -> list[torch.nn.Module]:
    """Put new blocks into the model and return them; `found` are its own. Refuses an architecture it does not fit."""
    if blocks > len(found):
        raise UserError("config.pro_blocks", blocks=blocks, have=len(found))
    stack = next(one for one in model.modules() if isinstance(one, torch.nn.ModuleList) and list(one) == found)
    config = model.config.get_text_config()
    before = _answers(model)
    wanted, made, whole = set(places(len(found), blocks)), list[torch.nn.Module](), list[torch.nn.Module]()
    sources = list[int]()
    for number, layer in enumerate(found):
        whole.append(layer)
        sources.append(number)
        if number in wanted:
            made.append(_silent(layer))
            whole.append(made[-1])
            sources.append(number)
    del stack[:]
    stack.extend(whole)
    for number, layer in enumerate(whole):
        for module in layer.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = number
    for name, value in list(vars(config).items()):  # what the config says of each layer by itself
        if isinstance(value, list) and len(value) == len(found):
            setattr(config, name, [value[source] for source in sources])
    config.num_hidden_layers = len(whole)
    after = _answers(model)
    if not torch.allclose(before, after, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
        raise UserError("config.pro_unfit", architecture=type(model).__name__)
    return made


def _silent(layer: torch.nn.Module) -> torch.nn.Module:
    """A copy that adds nothing to the stream."""
    made = copy.deepcopy(layer)
    for name, module in made.named_modules():
        if name.rpartition(".")[2] in LAST and hasattr(module, "weight"):
            torch.nn.init.zeros_(module.weight)
            if getattr(module, "bias", None) is not None:
                torch.nn.init.zeros_(module.bias)
    return made


@torch.no_grad()  # type: ignore[untyped-decorator]
def _answers(model: Any) -> torch.Tensor:
    training = model.training
    model.eval()
    try:
        ids = torch.tensor(TRIED, device=next(model.parameters()).device)
        ids = ids % model.config.get_text_config().vocab_size
        given = model(input_ids=ids, use_cache=False)
        return torch.as_tensor(given[0]).float()
    finally:
        model.train(training)
