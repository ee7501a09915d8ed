"""What a layer does for a set of adapters: views of one adapter's matrices, stacked copies of several.

Layers that are given the same input (q, k, v; gate, up) share the product with their first matrices: in a file these
lie side by side, so that it needs no copy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from engine.compute.lora.adapter import Adapter, Factors
from engine.compute.lora.keys import GROUPS
from engine.contract.errors import Conflict

WIDENED_NUMBERS, WIDENED_PRODUCTS = 1 << 17, 1 << 19
"""On a processor a product with half-precision numbers costs 20 to 70 µs before it begins to multiply. A matrix of no
more numbers, for no more of them times tokens, is made fp32 and multiplied in 5 to 40 (measured on AMX, torch 2.13)."""


def widened(matrix: torch.Tensor | None) -> int:
    """Up to how many tokens a product with this matrix is sooner done in fp32; 0: never."""
    if matrix is None or matrix.device.type != "cpu" or matrix.dtype not in (torch.bfloat16, torch.float16):
        return 0
    return WIDENED_PRODUCTS // matrix.numel() if 0 < matrix.numel() <= WIDENED_NUMBERS else 0


@dataclass(slots=True, eq=False)
class First:
    """First matrices of layers with one input, and which rows of a batch each of their ranks is for."""

    a: torch.Tensor
    """[ranks, in]"""
    table: bool = False
    """The input is numbers of words."""
    rows: torch.Tensor | None = None
    """[batch, 1, ranks], 0 where a row has another adapter."""
    sizes: list[int] = field(default_factory=list)
    """Ranks of the layers that share it."""
    wide: int = field(init=False)
    """Up to so many tokens go through it in fp32."""

    def __post_init__(self) -> None:
        self.wide = 0 if self.table else widened(self.a)


@dataclass(slots=True, eq=False)
class Plan:
    """What one layer adds. `gain` is DoRA's, over everything (`after`) or over the base alone."""

    first: First | None = None
    number: int = 0
    """Of those that share a product."""
    b: torch.Tensor | None = None
    """[out, ranks]"""
    bt: torch.Tensor | None = None
    alpha: float = 1.0
    gain: torch.Tensor | None = None
    after: bool = False
    add: torch.Tensor | None = None
    stand_ins: list[tuple[torch.Tensor | None, torch.nn.Module]] = field(default_factory=list)
    """Modules with other parameters of their own, for these rows or for all."""
    last: bool = True
    """The last of those that share a product."""
    groups: list[tuple[slice | torch.Tensor, Plan]] = field(default_factory=list)
    """Rows of a batch and the plan of their own adapter, where a mask over all ranks would cost more."""
    plain: bool = False
    """There is nothing but a product to be added."""
    wide: int = 0
    """Up to so many tokens go through the second matrix in fp32."""
    bias: torch.Tensor | None = None
    """What `gain` leaves alone, where adapters brought their own: of all rows, or of each."""

    def settle(self) -> None:
        """Say whether it is plain, and how it multiplies, once all else is known."""
        self.plain = self.gain is None and self.add is None and not self.groups
        self.wide = widened(self.b)


@dataclass(slots=True, eq=False)
class Selection:
    """Which adapters are at work: a plan for each place that is changed; never changed itself."""

    plans: dict[int, Plan]
    names: tuple[str, ...] = ()
    rows: int = 0
    """Of the batch it is for, where each row has its own."""
    bytes: int = 0
    """What was copied for it."""


BASE = Selection({})
MASKED_RANKS = 64
"""With more ranks in all, rows of a batch go through their own adapter apart: for four rows of 16 tokens that takes a
tenth less at 192 ranks, for rows of one token a mask takes a tenth less at 24."""


@dataclass(slots=True)
class Part:
    """An adapter of a selection and its weight, with DoRA's gains by module."""

    name: str
    adapter: Adapter
    weight: float = 1.0
    gains: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """A module that was taken over."""

    place: int
    path: str
    module: torch.nn.Module
    kind: type[torch.nn.Module]


def select(sites: Mapping[str, Site], parts: Sequence[Part], rows: Sequence[int] | None = None) -> Selection:
    """The plans of a set of adapters. `rows` names for each row of the batch its part, -1 for none."""
    plans, copied = dict[int, Plan](), 0
    touched = list(dict.fromkeys(path for part in parts for path in part.adapter.modules))
    for paths in _together(touched):
        copied += _group([sites[path] for path in paths], parts, rows, plans)
    for path in dict.fromkeys(path for part in parts for path in part.adapter.whole):
        _replace(sites[path], parts, rows, plans.setdefault(sites[path].place, Plan()))
    names = tuple(part.name for part in parts)
    return Selection(plans, names, len(rows) if rows is not None else 0, copied)


def _together(paths: Sequence[str]) -> list[list[str]]:
    """Paths by what they share their input with."""
    known = set(paths)
    found, seen = list[list[str]](), set[str]()
    for path in paths:
        if path in seen:
            continue
        parent, dot, last = path.rpartition(".")
        names = next((group for group in GROUPS if last in group), (last,))
        whole = [one for name in names if (one := parent + dot + name) in known]
        seen.update(whole)
        found.append(whole)
    return found


def _group(sites: list[Site], parts: Sequence[Part], rows: Sequence[int] | None, plans: dict[int, Plan]) -> int:
    """Plans of layers that share their input; the bytes that were copied."""
    if len(parts) == 1 and rows is None:
        return _alone(sites, parts[0], plans)
    if rows is not None and max(_ranks(site, parts) for site in sites) > MASKED_RANKS:
        return _by_rows(sites, parts, rows, plans)
    firsts, columns, sizes, copied = list[torch.Tensor](), list[int](), list[int](), 0
    for number, site in enumerate(sites):
        having = [(n, part, part.adapter.modules[site.path]) for n, part in enumerate(parts)
                  if site.path in part.adapter.modules]  # fmt: skip
        seconds = [_folded(part, site) for _, part, _ in having]
        firsts += [fitting(one.a, site.module) for _, _, one in having]
        columns += [number for number, _, one in having for _ in range(one.rank)]
        b = torch.cat(seconds, dim=1)
        copied += b.numel() * b.element_size()
        plan = Plan(None, number, b, b.T, add=_added(having, rows), last=site is sites[-1])
        plan.gain = _gain(parts, site, rows)
        plan.settle()
        plans[site.place] = plan
        sizes.append(b.shape[1])
    a = torch.cat(firsts)
    mask = None if rows is None else _mask(rows, columns).to(a.dtype)
    table = isinstance(sites[0].module, torch.nn.Embedding)
    first = First(a, table, mask, sizes)
    for site in sites:
        plans[site.place].first = first
    return copied + int(a.numel() * a.element_size())


def _alone(sites: list[Site], part: Part, plans: dict[int, Plan]) -> int:
    """One adapter: its matrices as they lie, no copy where the first ones lie side by side."""
    if not sites:
        return 0
    found = [part.adapter.modules[site.path] for site in sites]
    a, copied = _side_by_side([fitting(one.a, site.module) for one, site in zip(found, sites, strict=True)])
    first = First(a, found[0].embedding, sizes=[one.rank for one in found])
    for number, (site, one) in enumerate(zip(sites, found, strict=True)):
        gain = part.gains.get(site.path)
        if gain is not None and part.weight != 1:
            b, alpha, gain, after = _folded(part, site), 1.0, 1 + part.weight * (gain - 1), False
            copied += b.numel() * b.element_size()
        else:
            b, alpha, after = fitting(one.b, site.module), one.scaling * part.weight, gain is not None
        add = None if one.bias is None else one.bias * (one.scaling * part.weight)
        plan = plans[site.place] = Plan(first, number, b, b.T, alpha, gain, after, add, last=site is sites[-1])
        plan.settle()
    return copied


def _ranks(site: Site, parts: Sequence[Part]) -> int:
    return sum(part.adapter.modules[site.path].rank for part in parts if site.path in part.adapter.modules)


def _by_rows(sites: list[Site], parts: Sequence[Part], rows: Sequence[int], plans: dict[int, Plan]) -> int:
    """Each adapter as it lies, for its rows."""
    copied = 0
    first = First(torch.empty(0), sizes=[0] * len(sites))
    for number, site in enumerate(sites):
        plans[site.place] = Plan(first, number, last=site is sites[-1])
    for number, part in enumerate(parts):
        index, own = _index(rows, number), dict[int, Plan]()
        if index is None:
            continue
        copied += _alone([site for site in sites if site.path in part.adapter.modules], part, own)
        for place, plan in own.items():
            plans[place].groups.append((index, plan))
    return copied


def _index(rows: Sequence[int], number: int) -> slice | torch.Tensor | None:
    """The rows of a part; a slice where they lie together, for that is a view."""
    found = [row for row, part in enumerate(rows) if part == number]
    if not found:
        return None
    if found[-1] - found[0] + 1 == len(found):
        return slice(found[0], found[-1] + 1)
    return torch.tensor(found)


def _side_by_side(firsts: list[torch.Tensor]) -> tuple[torch.Tensor, int]:
    """All rows of several matrices as one; what had to be copied."""
    begin = firsts[0]
    if len(firsts) == 1:
        return begin, 0
    end = begin.data_ptr()
    for one in firsts:
        if one.data_ptr() != end or not one.is_contiguous() or one.dtype != begin.dtype:
            made = torch.cat(firsts)
            return made, made.numel() * made.element_size()
        end += one.numel() * one.element_size()
    width = begin.shape[1]
    return begin.as_strided((sum(one.shape[0] for one in firsts), width), (width, 1)), 0


def fitting(matrix: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
    """A matrix in a dtype the module can work with, without losing digits."""
    weight = getattr(module, "weight", None)
    if weight is None or not weight.is_floating_point() or matrix.dtype == weight.dtype:
        return matrix.to(weight.device) if weight is not None and matrix.device != weight.device else matrix
    return matrix.to(weight.device, torch.promote_types(matrix.dtype, weight.dtype))


def _folded(part: Part, site: Site) -> torch.Tensor:
    """The second matrix with scaling, weight and gain in it."""
    one: Factors = part.adapter.modules[site.path]
    b = fitting(one.b, site.module) * (one.scaling * part.weight)
    gain = part.gains.get(site.path)
    return b if gain is None else b * gain.to(b.dtype)[:, None]


def _added(having: Sequence[tuple[int, Part, Factors]], rows: Sequence[int] | None) -> torch.Tensor | None:
    """What the biases of second matrices add, by row where rows differ."""
    made: torch.Tensor | None = None
    for number, part, one in having:
        if one.bias is None:
            continue
        more = one.bias * (one.scaling * part.weight)
        if rows is not None:
            more = _mask(rows, [number]).to(more.dtype) * more
        made = more if made is None else made + more
    return made


def _gain(parts: Sequence[Part], site: Site, rows: Sequence[int] | None) -> torch.Tensor | None:
    """What the base's output is multiplied by: 1 + sum of weight · (gain - 1)."""
    made: torch.Tensor | None = None
    for number, part in enumerate(parts):
        gain = part.gains.get(site.path)
        if gain is None or site.path not in part.adapter.modules:
            continue
        more = part.weight * (gain - 1)
        if rows is not None:
            more = _mask(rows, [number]).to(more.dtype) * more
        made = more if made is None else made + more
    return None if made is None else 1 + made


def _mask(rows: Sequence[int], columns: Sequence[int]) -> torch.Tensor:
    """[rows, 1, columns], true where a column belongs to the row's adapter."""
    return torch.tensor(rows)[:, None, None] == torch.tensor(columns)[None, None, :]


def _replace(site: Site, parts: Sequence[Part], rows: Sequence[int] | None, plan: Plan) -> None:
    """Modules with an adapter's own parameters."""
    having = [(number, part) for number, part in enumerate(parts) if site.path in part.adapter.whole]
    if rows is None and len(having) > 1:
        names = ", ".join(part.name for _, part in having)
        raise Conflict("lora.two_whole", names=names, module=site.path)
    for number, part in having:
        if part.weight != 1:
            raise Conflict("lora.whole_weighed", name=part.name, module=site.path, weight=part.weight)
        made = stand_in(site, part.adapter.whole[site.path])
        index = None if rows is None else torch.tensor([n for n, row in enumerate(rows) if row == number])
        if index is None or len(index):
            plan.stand_ins.append((index, made))
    _own_biases(site, rows, plan)


def _own_biases(site: Site, rows: Sequence[int] | None, plan: Plan) -> None:
    """Biases that stand in for the module's own are no more scaled by a gain than it is."""
    usual = getattr(site.module, "bias", None)
    gained = [own for _, own in plan.groups if own.gain is not None] + ([plan] if plan.gain is not None else [])
    if usual is None or not plan.stand_ins or not gained:
        return
    if rows is None:
        plan.bias = plan.stand_ins[0][1].bias
        return
    each = usual.detach().expand(len(rows), 1, -1).clone()
    for index, made in plan.stand_ins:
        each[index] = made.bias.detach()
    plan.bias = each
    for index, own in plan.groups:
        own.bias = each[index]


def stand_in(site: Site, parameters: Mapping[str, torch.Tensor]) -> Any:
    """The module with other parameters, all else shared with it."""
    made = copy.copy(site.module)
    made.__class__ = site.kind
    own, buffers = dict(site.module._parameters), dict(site.module._buffers)
    for name, tensor in parameters.items():
        before = own.get(name, buffers.get(name))
        fits = tensor if before is None else tensor.to(before.device, before.dtype)
        if name in buffers:
            buffers[name] = fits
        else:
            own[name] = torch.nn.Parameter(fits, requires_grad=False)
    made.__dict__["_parameters"], made.__dict__["_buffers"] = own, buffers
    return made
