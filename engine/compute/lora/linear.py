"""Layers that adapters are put on: the module itself with another class; its weight stays where it is.

Which adapters work is one pointer all layers look at; a thread that has pinned a selection sees nothing else.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch.nn import functional

from engine.compute.lora.plans import BASE, First, Plan, Selection
from engine.contract.errors import UserError


class State(threading.local):
    """What a thread works with: the selection it has pinned, and the product its next layers share."""

    def __init__(self) -> None:
        self.pinned: Selection | None = None
        self.input: torch.Tensor | None = None
        self.first: First | None = None
        self.product: torch.Tensor | None = None

    def forget(self) -> None:
        """Let go of the product."""
        self.input = self.first = self.product = None


class Switch:
    """Which selection works for those who have pinned none."""

    __slots__ = ("default", "state")

    def __init__(self) -> None:
        self.default = BASE
        self.state = State()


class Adapted(torch.nn.Module):  # type: ignore[misc]
    """What is common to modules that were taken over."""

    def forward(self, *arguments: Any, **options: Any) -> Any:
        """The module's own work, and what the adapters at work add."""
        own = self.__dict__
        switch: Switch = own["_lora_switch"]
        state = switch.state
        plan = (state.pinned or switch.default).plans.get(own["_lora_place"])
        if plan is None:
            return super().forward(*arguments, **options)
        if plan.stand_ins:
            out = self._replaced(plan, arguments, options)
        else:
            out = super().forward(*arguments, **options)
        if plan.first is None:
            return out
        return _changed(self, plan, arguments[0] if arguments else options["input"], out, state)

    def _replaced(self, plan: Plan, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """With parameters of adapters in place of its own, by rows where these differ."""
        index, module = plan.stand_ins[0]
        if index is None:
            return module(*arguments, **options)
        out = super().forward(*arguments, **options)
        for index, module in plan.stand_ins:
            out[index] = module(*(one[index] for one in arguments), **options)
        return out


class LoRALinear(Adapted, torch.nn.Linear):  # type: ignore[misc]
    """A linear layer with adapters on it."""


class LoRAEmbedding(Adapted, torch.nn.Embedding):  # type: ignore[misc]
    """A table of words with adapters on it."""


_KNOWN: dict[type, type] = {torch.nn.Linear: LoRALinear, torch.nn.Embedding: LoRAEmbedding}


def adapted(kind: type) -> type:
    """The class a module of this kind takes."""
    if kind not in _KNOWN:
        _KNOWN[kind] = type(f"LoRA{kind.__name__}", (Adapted, kind), {})
    return _KNOWN[kind]


def _changed(module: Any, plan: Plan, given: torch.Tensor, out: torch.Tensor, state: State) -> torch.Tensor:
    """What comes out with the plan's part in it."""
    h = _product(module, plan, given, state)
    b, gain = plan.b, plan.gain
    assert b is not None
    assert plan.bt is not None
    bias = module.bias if gain is not None and hasattr(module, "bias") else None
    if bias is not None:
        out = out - bias
    if gain is not None and not plan.after:
        out = out * gain
    if h.dtype != out.dtype or not out.is_contiguous():
        out = (out + (h @ plan.bt) * plan.alpha).to(out.dtype)
    elif out.numel() == b.shape[0]:
        out.view(-1).addmv_(b, h.view(-1), alpha=plan.alpha)
    else:
        out.view(-1, b.shape[0]).addmm_(h.reshape(-1, b.shape[1]), plan.bt, alpha=plan.alpha)
    if plan.add is not None:
        out = (out + plan.add).to(out.dtype)
    if gain is not None:
        out = (out * gain if plan.after else out).to(h.dtype)
    return out if bias is None else out + bias


def _product(module: Any, plan: Plan, given: torch.Tensor, state: State) -> torch.Tensor:
    """The input's product with the first matrices, made once for layers that share it."""
    first = plan.first
    assert first is not None
    if state.first is first and state.input is given and state.product is not None:
        h = state.product
    else:
        h = _multiplied(module, first, given)
        if first.members > 1:
            state.first, state.input, state.product = first, given, h
    if first.members > 1:
        if plan.last:
            state.forget()
        return h[..., plan.start : plan.stop]
    return h


def _multiplied(module: Any, first: First, given: torch.Tensor) -> torch.Tensor:
    a = first.a
    if first.table:
        h = functional.embedding(given, a.T)
        scale = getattr(module, "embed_scale", None)
        if scale is not None:
            h = h * scale
    else:
        h = functional.linear(given if given.dtype == a.dtype else given.to(a.dtype), a)
    rows = first.rows
    if rows is not None:
        if h.dim() != 3 or h.shape[0] != rows.shape[0]:
            raise UserError("lora.rows", rows=rows.shape[0], found=h.shape[0] if h.dim() == 3 else 1)
        h = h * rows
    return h
