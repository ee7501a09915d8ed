"""Several adapters as one, one in the base model, one with smaller ranks, and how two differ.

Combinations are peft's (`add_weighted_adapter`), held to it by tests: linear, TIES (arXiv 2306.01708) and DARE
(arXiv 2311.03099) on the two matrices of a module, cat and svd on its change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engine.compute.lora.adapter import Adapter, Factors, assemble
from engine.compute.lora.injection import Host
from engine.compute.lora.keys import PREFIX
from engine.compute.lora.quantised import error
from engine.contract.errors import UserError

METHODS = ("linear", "cat", "svd", "ties", "dare_linear", "dare_ties")
WITH_DENSITY = ("ties", "dare_linear", "dare_ties")


def merge(
    adapters: Mapping[str, Adapter],
    weights: Sequence[float] | None = None,
    method: str = "linear",
    density: float = 0.5,
    seed: int = 0,
) -> Adapter:
    """One adapter of several; `density` is the share of values TIES and DARE keep, `seed` says which DARE drops."""
    scales = [1.0] * len(adapters) if weights is None else list(weights)
    _check(adapters, scales, method, density)
    chance = torch.Generator().manual_seed(seed)
    paths = list(dict.fromkeys(path for one in adapters.values() for path in one.modules))
    made = dict[str, Factors]()
    for path in paths:
        having = [(one.modules[path], scale) for one, scale in zip(adapters.values(), scales, strict=True)
                  if path in one.modules]  # fmt: skip
        made[path] = _combined(path, having, method, density, chance)
    first = next(iter(adapters.values()))
    lost = max(one.card.storage_error for one in adapters.values())
    return _remade(first, made, " + ".join(adapters), lost)


def _check(adapters: Mapping[str, Adapter], weights: Sequence[float], method: str, density: float) -> None:
    if not adapters:
        raise UserError("lora.merge_none")
    if method not in METHODS:
        raise UserError("lora.merge_method", method=method, known=", ".join(METHODS))
    if len(weights) != len(adapters):
        raise UserError("lora.merge_counts", adapters=len(adapters), weights=len(weights))
    for name, weight in zip(adapters, weights, strict=True):
        if not math.isfinite(weight):
            raise UserError("lora.weight", name=name, weight=weight)
    if method in WITH_DENSITY and not 0 < density <= 1:
        raise UserError("lora.merge_density", method=method, density=density)
    for name, one in adapters.items():
        _check_plain(name, one)


def _check_plain(name: str, one: Adapter) -> None:
    """It is nothing but products of two matrices."""
    what = "A module that was trained whole" if one.whole else ""
    what = what or ("DoRA" if any(part.magnitude is not None for part in one.modules.values()) else "")
    what = what or ("A bias" if any(part.bias is not None for part in one.modules.values()) else "")
    if what:
        raise UserError("lora.merge_dora", name=name, what=what)


def _combined(
    path: str, having: Sequence[tuple[Factors, float]], method: str, density: float, chance: torch.Generator
) -> Factors:
    """The module's matrices, with a scaling of 1."""
    table = having[0][0].embedding
    if method == "cat":
        a = torch.cat([one.a * (scale * one.scaling) for one, scale in having])
        return Factors(a, torch.cat([one.b for one, _ in having], dim=1), 1.0, table)
    ranks = sorted({one.rank for one, _ in having})
    if method == "svd":
        wide = [(one.b.float() @ one.a.float()) * (one.scaling * scale) for one, scale in having]
        b, a = _halves(torch.stack(wide).sum(0), ranks[-1])
        return Factors(a.to(having[0][0].a.dtype), b.to(having[0][0].b.dtype), 1.0, table)
    if len(ranks) > 1:
        listed = ", ".join(map(str, ranks))
        raise UserError("lora.merge_ranks", method=method, module=path, ranks=listed)
    whole = [scale * one.scaling for one, scale in having]
    roots = [math.sqrt(abs(value)) for value in whole]
    signed = [root if value >= 0 else -root for root, value in zip(roots, whole, strict=True)]
    a = _mixed([one.a for one, _ in having], signed, method, density, chance)
    b = _mixed([one.b for one, _ in having], roots, method, density, chance)
    return Factors(a, b, 1.0, table)


def _halves(change: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The two matrices of a rank whose product is nearest to a change."""
    u, s, v = torch.linalg.svd(change, full_matrices=False)
    return u[:, :rank] * s[:rank], v[:rank].contiguous()


def _mixed(
    tasks: Sequence[torch.Tensor], weights: Sequence[float], method: str, density: float, chance: torch.Generator
) -> torch.Tensor:
    """Matrices of one shape as one, as peft's merge_utils do it."""
    dtype = tasks[0].dtype
    if method == "ties":
        tasks = [_largest(one, density) for one in tasks]
    elif method.startswith("dare"):
        tasks = [_dropped(one, density, chance) for one in tasks]
    stacked = torch.stack(list(tasks))
    weighed = stacked * torch.tensor(list(weights)).view(-1, *[1] * tasks[0].dim())
    if not method.endswith("ties"):
        return weighed.sum(0).to(dtype)
    agree = stacked.sign() == torch.where(stacked.sum(0) >= 0, 1, -1)
    return ((weighed * agree).sum(0) / agree.sum(0).clamp(min=1.0)).to(dtype)


def _largest(task: torch.Tensor, density: float) -> torch.Tensor:
    """Only this share of the values, the largest ones."""
    if density >= 1:
        return task
    mask = torch.zeros(task.numel(), dtype=task.dtype)
    mask[torch.topk(task.abs().reshape(-1), k=int(density * task.numel())).indices] = 1
    return task * mask.view(task.shape)


def _dropped(task: torch.Tensor, density: float, chance: torch.Generator) -> torch.Tensor:
    """This share of the values, by chance, so much larger that the mean stays."""
    if density >= 1:
        return task
    mask = torch.bernoulli(torch.full(task.shape, density), generator=chance).to(task.dtype)
    return task * mask / density


def merge_into(model: torch.nn.Module, adapter: Adapter, weight: float = 1.0) -> None:
    """Change the base model's own weights; refused whole if the adapter does not fit."""
    host = Host(model)
    host.check(adapter)
    for name in adapter.whole if weight != 1 else ():
        raise UserError("lora.whole_weighed", name=adapter.card.name, module=name, weight=weight)
    modules: dict[str, Any] = dict(model.named_modules())
    gains = host.gains(adapter)
    for path, one in adapter.modules.items():
        if one.bias is not None and modules[path].bias is None:
            raise UserError("lora.merge_dora", name=adapter.card.name, what=f"The bias of '{path}'")
    with torch.no_grad():
        for path, parameters in adapter.whole.items():
            for name, tensor in parameters.items():
                getattr(modules[path], name).copy_(tensor)
        for path, one in adapter.modules.items():
            own = modules[path].weight
            changed = own.to(torch.promote_types(own.dtype, torch.float32)) + weight * one.delta()
            if path in gains:
                gain = 1 + weight * (gains[path] - 1)
                changed = _with_gain(own, one, gain, gains[path], weight)
            own.copy_(changed)
            if one.bias is not None:
                modules[path].bias.add_(one.bias * (one.scaling * weight))


def _with_gain(own: torch.Tensor, one: Factors, gain: torch.Tensor, full: torch.Tensor, weight: float) -> torch.Tensor:
    """DoRA's weights: gain · W + weight · full gain · change."""
    shape = (1, -1) if one.embedding else (-1, 1)
    return own * gain.view(shape) + one.delta() * (full.view(shape) * weight)


def shrink(adapter: Adapter, budget: float) -> tuple[Adapter, dict[str, float]]:
    """Each module with the smallest rank whose change is off by `budget` at most, in the Frobenius norm of the whole.

    The adapter, and the relative error of each module. Of DoRA only directions are looked at.
    """
    if not 0 <= budget < 1:
        raise UserError("lora.shrink_error", error=budget)
    made, lost = dict[str, Factors](), dict[str, float]()
    for path, one in adapter.modules.items():
        b, a, values = _singular(one)
        squares = values.double().square()
        left = torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)])
        most = (budget**2) * left[0]
        rank = max(1, int((left > most * (1 + 1e-12)).sum()))
        rank = min(rank, one.rank)
        lost[path] = math.sqrt(float(left[rank] / left[0])) if left[0] > 0 else 0.0
        if rank == one.rank:
            lost[path] = 0.0
            made[path] = Factors(one.a * one.scaling, one.b, 1.0, one.embedding, one.magnitude, one.bias)
            if one.bias is not None:
                made[path].bias = one.bias * one.scaling
            continue
        halves = (a[:rank] * one.scaling).to(one.a.dtype).contiguous(), b[:, :rank].to(one.b.dtype).contiguous()
        bias = None if one.bias is None else one.bias * one.scaling
        made[path] = Factors(*halves, 1.0, one.embedding, one.magnitude, bias)
    stored = max(lost.values(), default=0.0)
    return _remade(adapter, made, adapter.card.name, max(stored, adapter.card.storage_error)), lost


def _singular(one: Factors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """B·A as U·S and V with its singular values, by the QR of both: nothing as large as the module is made."""
    q_b, r_b = torch.linalg.qr(one.b.double())
    q_a, r_a = torch.linalg.qr(one.a.double().T)
    u, s, v = torch.linalg.svd(r_b @ r_a.T)
    root = s.sqrt()
    return (q_b @ u) * root, root[:, None] * (v @ q_a.T), s


@dataclass(frozen=True, slots=True)
class Difference:
    """How the changes of a module differ: relative distance, cosine, and what each does to the weights (norms)."""

    distance: float
    cosine: float
    norms: tuple[float, float]
    ranks: tuple[int, int]


def diff(one: Adapter, other: Adapter) -> dict[str, Difference]:
    """Module by module, of those both change."""
    paths = [path for path in one.modules if path in other.modules]
    paths = [path for path in paths if _shape(one.modules[path]) == _shape(other.modules[path])]
    if not paths:
        raise UserError("lora.diff_none")
    return {path: _difference(one.modules[path], other.modules[path]) for path in paths}


def _shape(one: Factors) -> tuple[int, int]:
    return int(one.b.shape[0]), int(one.a.shape[1])


def _difference(one: Factors, other: Factors) -> Difference:
    """Inner products of B·A and B'·A' by their small sides: <BA, B'A'> = sum of (BᵀB')·(AA'ᵀ)."""
    squares = [_inner(one, one), _inner(other, other)]
    cross = _inner(one, other)
    norms = [math.sqrt(max(0.0, value)) for value in squares]
    apart = math.sqrt(max(0.0, squares[0] + squares[1] - 2 * cross))
    both = norms[0] * norms[1]
    return Difference(
        apart / max(norms) if max(norms) > 0 else 0.0,
        cross / both if both > 0 else 0.0,
        (norms[0], norms[1]),
        (one.rank, other.rank),
    )


def _inner(one: Factors, other: Factors) -> float:
    a = one.a.double() @ other.a.double().T
    b = one.b.double().T @ other.b.double()
    return float((a * b).sum()) * one.scaling * other.scaling


def _remade(adapter: Adapter, modules: Mapping[str, Factors], name: str, lost: float) -> Adapter:
    """An adapter of these matrices, each with a scaling of 1; config and card of another."""
    ranks = {path: one.rank for path, one in modules.items()}
    usual = max(set(ranks.values()), key=list(ranks.values()).count)
    others = {path: rank for path, rank in ranks.items() if rank != usual}
    config: dict[str, Any] = json.loads(adapter.config_text) | {
        "r": usual, "lora_alpha": usual, "use_rslora": False, "rank_pattern": others, "alpha_pattern": others,
        "target_modules": sorted(modules),
    }  # fmt: skip
    tensors = {name: tensor for name, tensor in adapter.tensors.items() if not _of_factors(name)}
    for path, one in modules.items():
        tensors |= _named(path, one)
    made = assemble(json.dumps(config, indent=2, sort_keys=True), tensors, name, metadata=adapter.file_metadata)
    kept = {"name", "base_model", "base_hash", "run", "datasets", "licence", "description", "embedding"}
    told = {field: getattr(adapter.card, field) for field in kept} | {"name": name, "storage_error": lost}
    made.card = made.card.model_copy(update=told)
    return made


def _of_factors(name: str) -> bool:
    return ".lora_" in name


def _named(path: str, one: Factors) -> dict[str, torch.Tensor]:
    """A module's weights by peft's names."""
    stem = PREFIX + path
    ends = (".lora_embedding_A", ".lora_embedding_B") if one.embedding else (".lora_A.weight", ".lora_B.weight")
    named = {stem + ends[0]: one.a, stem + ends[1]: one.b}
    if one.magnitude is not None:
        named[stem + ".lora_magnitude_vector"] = one.magnitude
    if one.bias is not None:
        named[stem + ".lora_B.bias"] = one.bias
    return {name: tensor.contiguous() for name, tensor in named.items()}


def change_error(before: Adapter, after: Adapter) -> float:
    """The greatest relative error of a module's change."""
    return max(error(one.delta(), after.modules[path].delta()) for path, one in before.modules.items())
