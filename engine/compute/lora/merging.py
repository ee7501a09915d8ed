"""Several adapters as one, one in the base model, one with smaller ranks, and how two differ.

Combinations are peft's (`add_weighted_adapter`), held to it by tests: linear, TIES (arXiv 2306.01708) and DARE
(arXiv 2311.03099) on the two matrices of a module, cat and svd on its change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine.compute.lora.adapter import Adapter, Factors, assemble
from engine.compute.lora.injection import Host
from engine.compute.lora.keys import PREFIX
from engine.compute.lora.quantised import compounded, error
from engine.contract.errors import UserError
from engine.contract.lora_card import LoRACard

METHODS = ("linear", "cat", "svd", "ties", "dare_linear", "dare_ties")
LONGEST_NAME = 200
"""Characters of a card's name."""
WITH_DENSITY = ("ties", "dare_linear", "dare_ties")


FP32_DIGITS = 1e-6
"""What rounding in fp32 leaves, and no budget is held to."""


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
    chance = torch.Generator().manual_seed(seed if -(2**63) <= seed < 2**64 else seed % 2**64)
    paths = list(dict.fromkeys(path for one in adapters.values() for path in one.modules))
    made = dict[str, Factors]()
    for path in paths:
        having = [(one.modules[path], scale) for one, scale in zip(adapters.values(), scales, strict=True)
                  if path in one.modules]  # fmt: skip
        _check_shapes(path, {name: one.modules[path] for name, one in adapters.items() if path in one.modules})
        made[path] = _combined(path, having, method, density, chance)
    first = next(iter(adapters.values()))
    lost = max(one.card.storage_error for one in adapters.values())
    whole = _remade(first, made, " + ".join(adapters)[:LONGEST_NAME], lost)
    whole.card = whole.card.model_copy(update=_card([one.card for one in adapters.values()], scales))
    return whole


def _card(cards: Sequence[LoRACard], weights: Sequence[float]) -> dict[str, Any]:
    """What the cards say together: what only one of them says would be said of all."""
    runs, licences = ({getattr(one, name) for one in cards} for name in ("run", "licence"))
    return {
        "run": runs.pop() if len(runs) == 1 else "",
        "licence": " AND ".join(sorted(filter(None, licences))),
        "description": "\n".join(dict.fromkeys(one.description for one in cards if one.description.strip())),
        "datasets": {name: known for one in cards for name, known in one.datasets.items()},
        "embedding": _purpose([one.embedding for one in cards], weights),
    }


def _purpose(vectors: Sequence[tuple[float, ...]], weights: Sequence[float]) -> tuple[float, ...]:
    """What all of them are for: the mean by weight; nothing where one does not say, or says it of another base."""
    if not all(vectors) or len({len(one) for one in vectors}) != 1 or not (whole := math.fsum(map(abs, weights))):
        return ()
    sums = (math.fsum(abs(weight) * value for weight, value in zip(weights, values, strict=True))
            for values in zip(*vectors, strict=True))  # fmt: skip
    return tuple(value / whole for value in sums)


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


def _check_shapes(path: str, having: Mapping[str, Factors]) -> None:
    """They change the same weight."""
    (first, usual), *others = having.items()
    for name, one in others:
        if (_shape(one), one.embedding) != (_shape(usual), usual.embedding):
            one_shape, other_shape = _told(usual), _told(one)
            raise UserError("lora.merge_bases", module=path, first=first, one=one_shape, name=name, other=other_shape)


def _told(one: Factors) -> str:
    return f"{list(_shape(one))}" + (" of embeddings" if one.embedding else "")


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
    """Change the base model's own weights; refused whole if the adapter does not fit.

    Weights that modules share, as embeddings and head often do, are theirs apart afterwards where they differ.
    """
    host = Host(model)
    host.check(adapter)
    for name in adapter.whole if weight != 1 else ():
        raise UserError("lora.whole_weighed", name=adapter.card.name, module=name, weight=weight)
    modules: dict[str, Any] = dict(model.named_modules())
    gains = host.gains(adapter)
    for path, one in adapter.modules.items():
        if one.bias is not None and modules[path].bias is None:
            raise UserError("lora.merge_dora", name=adapter.card.name, what=f"The bias of '{path}'")
    with torch.no_grad(), _apart(model, [modules[path] for path in (*adapter.modules, *adapter.whole)]):
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


@contextmanager
def _apart(model: torch.nn.Module, changing: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Each module that changes has weights of its own meanwhile; they are shared again where all became the same."""
    having = dict[torch.nn.Parameter, list[tuple[Any, str]]]()
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                having.setdefault(parameter, []).append((module, name))
    shared = {parameter: places for parameter, places in having.items() if len(places) > 1}
    for parameter, places in shared.items():
        for module, name in places:
            if any(module is one for one in changing):
                setattr(module, name, torch.nn.Parameter(parameter.detach().clone(), parameter.requires_grad))
    yield
    for places in shared.values():
        first = getattr(*places[0])
        if all(torch.equal(first, getattr(*place)) for place in places[1:]):
            for module, name in places[1:]:
                setattr(module, name, first)
        elif (config := getattr(model, "config", None)) is not None:
            config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = False


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
        made[path], lost[path] = _shrunk(one, budget)
    stored = compounded(adapter.card.storage_error, max(lost.values(), default=0.0))
    return _remade(adapter, made, adapter.card.name, stored), lost


def _shrunk(one: Factors, budget: float) -> tuple[Factors, float]:
    """With the smallest rank that keeps within the budget as it is stored, rounded; as it was where none does."""
    b, a, values = _singular(one)
    squares = values.double().square()
    left = torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)])
    least = max(1, int((left > (budget**2) * left[0] * (1 + 1e-12)).sum()))
    for rank in range(least, one.rank):
        halves = a[:rank].to(one.a.dtype).contiguous(), b[:, :rank].to(one.b.dtype).contiguous()
        less = replace(one, a=halves[0], b=halves[1])
        off = _off(one, less)
        if off <= budget + FP32_DIGITS:
            return less, off
    return one, 0.0


def _off(one: Factors, other: Factors) -> float:
    """Relative error of the other's change."""
    whole = _inner(one, one)
    apart = whole + _inner(other, other) - 2 * _inner(one, other)
    return math.sqrt(max(0.0, apart) / whole) if whole > 0 else 0.0


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
    """Module by module, of those both change; vectors and what was trained whole, by their names, with ranks of 0."""
    paths = [path for path in one.modules if path in other.modules]
    paths = [path for path in paths if _shape(one.modules[path]) == _shape(other.modules[path])]
    found = {path: _difference(one.modules[path], other.modules[path]) for path in paths}
    beside = beside_products(other)
    for name, tensor in beside_products(one).items():
        if name in beside and beside[name].shape == tensor.shape:
            found[name] = _apart_from(tensor, beside[name])
    if not found:
        raise UserError("lora.diff_none")
    return found


def beside_products(adapter: Adapter) -> dict[str, torch.Tensor]:
    """What an adapter changes beside products of two matrices: `module.parameter`, DoRA's magnitudes, biases of B."""
    found = {f"{path}.{name}": one for path, more in adapter.whole.items() for name, one in more.items()}
    for path, one in adapter.modules.items():
        parts = {"lora_magnitude_vector": one.magnitude, "lora_B.bias": one.bias}
        found |= {f"{path}.{name}": part for name, part in parts.items() if part is not None}
    return found


def _apart_from(one: torch.Tensor, other: torch.Tensor) -> Difference:
    """Of two tensors as they are."""
    first, second = one.double().reshape(-1), other.double().reshape(-1)
    norms = float(first.norm()), float(second.norm())
    both = norms[0] * norms[1]
    distance = float((first - second).norm()) / max(norms) if max(norms) > 0 else 0.0
    return Difference(distance, float(first @ second) / both if both > 0 else 0.0, norms, (0, 0))


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
    """An adapter of these matrices; config and card of another, but for what they say of modules."""
    ranks = {path: one.rank for path, one in modules.items()}
    alphas = {path: one.scaling * one.rank for path, one in modules.items()}
    rank, alpha = (max(all_.values(), key=list(all_.values()).count) for all_ in (ranks, alphas))
    config: dict[str, Any] = json.loads(adapter.config_text) | {
        "r": rank, "rank_pattern": {path: own for path, own in ranks.items() if own != rank},
        "lora_alpha": alpha, "alpha_pattern": {path: own for path, own in alphas.items() if own != alpha},
        "use_rslora": False, "init_lora_weights": True, "target_modules": sorted(modules), "exclude_modules": None,
        "layers_to_transform": None, "layers_pattern": None,
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
