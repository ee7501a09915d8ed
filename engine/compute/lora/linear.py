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
    """What a thread works with: the selection it has pinned, and the product its next layers share, in pieces."""

    def __init__(self) -> None:
        self.pinned: Selection | None = None
        self.input: torch.Tensor | None = None
        self.first: First | None = None
        self.pieces: tuple[torch.Tensor, ...] | None = None
        self.products: dict[First, tuple[torch.Tensor, ...]] | None = None

    def forget(self) -> None:
        """Let go of the product."""
        self.input = self.first = self.pieces = self.products = None


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
            out = self._replaced(plan, arguments, options, (state.pinned or switch.default).rows)
        else:
            out = super().forward(*arguments, **options)
        if plan.first is None:
            return out
        given = arguments[0] if arguments else options["input"]
        rows = (state.pinned or switch.default).rows
        if plan.groups and (len(given) != rows or out.dim() != 3):
            raise UserError("lora.rows", rows=rows, found=len(given) if out.dim() == 3 else 1)
        return _changed(self, plan, given, out, state)

    def _replaced(self, plan: Plan, arguments: tuple[Any, ...], options: dict[str, Any], rows: int) -> Any:
        """With parameters of adapters in place of its own, by rows where these differ."""
        index, module = plan.stand_ins[0]
        if index is None:
            return module(*arguments, **options)
        given = arguments[0] if arguments else next(iter(options.values()))
        apart = given.dim() >= (2 if isinstance(self, torch.nn.Embedding) else 3)
        out = super().forward(*arguments, **options) if apart and len(given) == rows else None
        if not isinstance(out, torch.Tensor):
            raise UserError("lora.rows", rows=rows, found=len(given) if apart else 1)
        for index, module in plan.stand_ins:
            out[index] = module(*(one[index] for one in arguments), **options)
        return out


class LoRALinear(Adapted, torch.nn.Linear):  # type: ignore[misc]
    """A linear layer with adapters on it."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch names it
        """As `Adapted`, without its detours where there is but a product to be added: the way of each token."""
        own = self.__dict__
        switch = own["_lora_switch"]
        state = switch.state
        plan = (state.pinned or switch.default).plans.get(own["_lora_place"])
        parameters = own["_parameters"]
        if plan is None:
            return functional.linear(input, parameters["weight"], parameters["bias"])
        if plan.stand_ins or plan.first is None or plan.groups:
            return super().forward(input)
        out = functional.linear(input, parameters["weight"], parameters["bias"])
        if not plan.plain:
            return _changed(self, plan, input, out, state)
        first = plan.first
        if first is state.first and input is state.input:
            piece = state.pieces[plan.number]
            if plan.last:
                state.first = state.input = state.pieces = None
        else:
            piece = _piece(self, plan, input, state)
        return _with_product(plan, piece, out)


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
    if not plan.groups:
        return _with(module, plan, _piece(module, plan, given, state), out)
    first = plan.first
    if first is not state.first or given is not state.input or state.products is None:
        state.first, state.input, state.products = first, given, {}
    products = state.products
    assert products is not None
    for index, own in plan.groups:
        assert own.first is not None
        pieces = products.get(own.first)
        if pieces is None:
            h = _multiplied(module, own.first, given[index])
            pieces = products[own.first] = h.split(own.first.sizes, dim=-1)
        piece, part = pieces[own.number], out[index]
        if own.plain and isinstance(index, slice) and own.b is not None and own.b.dtype is out.dtype:
            _with_product(own, piece, part)
        else:
            out[index] = _with(module, own, piece, part)
    if plan.last:
        state.forget()
    return out


def _with(module: Any, plan: Plan, piece: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """What comes out with a product in it, and all else a plan asks for."""
    gain, dtype = plan.gain, out.dtype
    bias = None
    if gain is not None:
        bias = plan.bias if plan.bias is not None else getattr(module, "bias", None)
    if bias is not None:
        out = out - bias
    if gain is not None and not plan.after:
        out = out * gain
    out = _added(plan, piece, out)
    if plan.add is not None:
        out = out + plan.add
    if gain is not None and plan.after:
        out = out * gain
    return (out if bias is None else out + bias).to(dtype)


def _with_product(plan: Plan, piece: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """What comes out with a product in it, which is added in place where dtypes agree."""
    b = plan.b
    assert b is not None
    if b.dtype is not out.dtype:
        return _added(plan, piece, out)
    if plan.wide and piece.numel() <= plan.wide * b.shape[1]:
        added = torch.mm(piece.reshape(-1, b.shape[1]).float(), b.float().T)
        out.view(-1, b.shape[0]).add_(added, alpha=plan.alpha)
        return out
    if piece.dtype is not b.dtype:
        piece = piece.to(b.dtype)
    if piece.dim() == 1:
        out.view(-1).addmv_(b, piece, alpha=plan.alpha)
    else:
        out.view(-1, b.shape[0]).addmm_(piece.reshape(-1, b.shape[1]), plan.bt, alpha=plan.alpha)
    return out


def _product(plan: Plan, piece: torch.Tensor) -> torch.Tensor:
    """With the second matrix: in fp32 where that is sooner done."""
    bt = plan.bt
    assert bt is not None
    if plan.wide and piece.numel() <= plan.wide * bt.shape[0]:
        return piece.float() @ bt.float()
    return piece.to(bt.dtype) @ bt


def _added(plan: Plan, piece: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """What comes out and the product, in the finer dtype of the two."""
    return (out + _product(plan, piece) * plan.alpha).to(out.dtype)


def _piece(module: Any, plan: Plan, given: torch.Tensor, state: State) -> torch.Tensor:
    """This layer's part of the input's product with the first matrices, made once for layers that share it.

    Of a single token it has one dimension.
    """
    first = plan.first
    assert first is not None
    if first is state.first and given is state.input and state.pieces is not None:
        pieces = state.pieces
    else:
        h = _multiplied(module, first, given)
        if h.numel() == first.a.shape[0]:
            h = h.view(-1)
        if len(first.sizes) == 1:
            return h
        pieces = h.split(first.sizes, dim=-1)
        state.first, state.input, state.pieces = first, given, pieces
    if plan.last:
        state.forget()
    return pieces[plan.number]


def _multiplied(module: Any, first: First, given: torch.Tensor) -> torch.Tensor:
    a = first.a
    if first.table:
        h = functional.embedding(given, a.T)
        scale = getattr(module, "embed_scale", None)
        if scale is not None:
            h = h * scale
    elif first.wide and given.numel() <= first.wide * a.shape[1]:
        h = torch.mm(given.view(-1, a.shape[1]).float(), a.float().T).view(*given.shape[:-1], a.shape[0])
    else:
        h = functional.linear(given if given.dtype == a.dtype else given.to(a.dtype), a)
    rows = first.rows
    if rows is not None:
        if h.dim() != 3 or h.shape[0] != rows.shape[0]:
            raise UserError("lora.rows", rows=rows.shape[0], found=h.shape[0] if h.dim() == 3 else 1)
        h = h * rows
    return h
