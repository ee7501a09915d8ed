"""Which node a run goes to, and why; or why it waits. Pure: it is told everything, and asks nobody.

A node named in the order is the only candidate. With `auto` the first criterion in which the best two differ is
the reason that is given: not where it just failed, data there already, cooler, not so busy, cheaper, name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contract.compute import Placement
from engine.contract.nodes import Candidate, NodeKind, NodeState, PlacementAnswer, Reach
from engine.contract.states import Lane

AUTO = "auto"
CPU = "cpu"
HOT = 87.0
"""°C: no run that may go elsewhere is given a GPU that is so hot."""
_WEIGHTS = (("not_where_it_failed", 1000.0), ("data_there", 100.0), ("cooler", 10.0), ("less_busy", 1.0))


@dataclass(frozen=True)
class Offer:
    """A node, as the pool knows it."""

    id: int
    name: str
    kind: NodeKind = "process"
    executor: str = "process"
    state: NodeState = "online"
    reach: Reach = "reachable"
    slots: Mapping[str, int] = field(default_factory=dict)
    """Lane to number."""
    gpus: tuple[str, ...] = ()
    crowded: bool = False
    """Its operator set more slots than it has GPUs: runs share them unasked."""
    labels: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None
    """For an hour of one GPU, or of the node where it has none."""
    currency: str = "USD"
    free_memory: Mapping[str, int] = field(default_factory=dict)
    """GPU to bytes, where that is known."""
    temperature: Mapping[str, float] = field(default_factory=dict)
    held: float = 0.0
    """So many seconds it is given nothing: a start there was its own fault."""
    fault: str = ""
    """What that was."""

    @property
    def docker(self) -> bool:
        """Its workers run in containers."""
        return self.kind != "process"


@dataclass(frozen=True)
class Load:
    """What the history says of a node."""

    used: Mapping[str, int] = field(default_factory=dict)
    """Lane to runs at work."""
    leases: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)
    """Device to its holders: whether each allows another one."""
    data_there: bool = False


@dataclass(frozen=True)
class Demand:
    """What a run asks for."""

    placement: Placement = field(default_factory=Placement)
    lane: str = Lane.GPU
    need: int | None = None
    """Bytes a GPU must have free at the least, where that is known."""
    avoid: str = ""
    """Where its last start failed by the node's fault."""


@dataclass(frozen=True)
class Choice:
    """Where a run goes, on what, and why; or why it waits."""

    offer: Offer | None
    devices: tuple[str, ...] | None
    """All on its node; empty where the work takes none."""
    code: str
    params: Mapping[str, Any]
    candidates: Sequence[Candidate]
    blocked: frozenset[str] = frozenset()
    """Nodes whose next free GPU is this run's: nobody who came later may make one fuller."""

    @property
    def device(self) -> str | None:
        """The first of them."""
        return next(iter(self.devices or ()), None)

    def answer(self) -> PlacementAnswer:
        """The same for people."""
        return PlacementAnswer(
            node=self.offer.name if self.offer else None, code=self.code, params=dict(self.params),
            candidates=list(self.candidates),
        )  # fmt: skip


def choose(
    demand: Demand, offers: Sequence[Offer], loads: Mapping[str, Load], joinable: Iterable[str] | None = None
) -> Choice:
    """The best node for a run. `joinable`: nodes where GPUs may be shared with those at work; None: all."""
    asked = demand.placement.node
    looked = [offer for offer in offers if asked in (AUTO, offer.name)]
    join = {offer.name for offer in offers} if joinable is None else set(joinable)
    gpus_somewhere = any(offer.gpus and _may(offer, demand) is None for offer in looked)
    found: list[tuple[Offer, Candidate, tuple[str, ...] | None]] = []
    for offer in looked:
        load = loads.get(offer.name, Load())
        devices, code, params = _look(offer, load, demand, offer.name in join, gpus_somewhere)
        found.append((offer, _candidate(offer, load, demand, devices, code, params), devices))
    candidates = [candidate for _offer, candidate, _devices in found]
    fitting = sorted(
        (entry for entry in found if entry[1].fits), key=lambda entry: (-entry[1].score, _price(entry[0]), entry[0].id)
    )
    if not fitting:
        blocked = frozenset(
            one.node
            for one in candidates
            if one.code in ("placement.gpus_busy", "placement.gpus_wanted", "placement.slots")
        )
        code, params = _why_waiting(asked, candidates)
        return Choice(None, None, code, params, candidates, blocked)
    best, second = fitting[0], fitting[1] if len(fitting) > 1 else None
    code = "placement.asked_for" if asked != AUTO else _reason(best, second, loads, demand)
    params = {"node": best[0].name}
    return Choice(best[0], best[2], code, params, candidates)


def _may(offer: Offer, demand: Demand) -> tuple[str, dict[str, Any]] | None:
    """Why a node is out of the question for now, whatever is free there."""
    place, node = demand.placement, {"node": offer.name}
    if place.executor != "auto" and (place.executor == "docker") != offer.docker:
        return "placement.executor", {**node, "executor": place.executor}
    if place.image and not offer.docker:
        return "placement.image", node
    missing = [f"{key}={value}" for key, value in place.labels.items() if offer.labels.get(key) != value]
    if missing:
        return "placement.labels", {**node, "labels": ", ".join(missing)}
    if offer.state != "online":
        return f"placement.{offer.state}", node
    if offer.reach != "reachable":
        return ("placement.checking" if offer.reach == "checking" else "placement.unreachable"), node
    if offer.held > 0:
        return "placement.held", {**node, "seconds": round(offer.held), "detail": offer.fault}
    return None


def _look(
    offer: Offer, load: Load, demand: Demand, join: bool, gpus_somewhere: bool
) -> tuple[tuple[str, ...] | None, str, dict[str, Any]]:
    """The devices it would have there; else why none."""
    no = _may(offer, demand)
    if no is not None:
        return None, *no
    node = {"node": offer.name}
    slots, used = offer.slots.get(demand.lane, 0), load.used.get(demand.lane, 0)
    if used >= slots:
        return None, "placement.slots", {**node, "slots": slots}
    if demand.lane != Lane.GPU:
        return (), "placement.fits", node
    wanted = demand.placement.gpus
    if (wanted or 0) > 1 and len(offer.gpus) < (wanted or 0):
        return None, "placement.too_few_gpus", {**node, "gpus": len(offer.gpus), "wanted": wanted}
    if wanted == 0 or not offer.gpus:
        free_choice = demand.placement.node == AUTO and wanted != 0
        if free_choice and (wanted or gpus_somewhere):
            return None, "placement.no_gpu", node
        return (CPU,), "placement.fits", node
    return _gpus(offer, load, demand, join)


def _gpus(offer: Offer, load: Load, demand: Demand, join: bool) -> tuple[tuple[str, ...] | None, str, dict[str, Any]]:
    """The GPUs with the fewest holders, of these the coolest; as many as are asked for, or none."""
    count = demand.placement.gpus or 1
    node, elsewhere = {"node": offer.name}, demand.placement.node == AUTO
    free = [gpu for gpu in offer.gpus if _may_have(load.leases.get(gpu, ()), offer, demand, join)]
    if not free:
        return None, "placement.gpus_busy", {**node, "gpus": len(offer.gpus)}
    if len(free) < count:
        return None, "placement.gpus_wanted", {**node, "free": len(free), "wanted": count}
    large = [gpu for gpu in free if demand.need is None or offer.free_memory.get(gpu, demand.need) >= demand.need]
    if elsewhere and len(large) < count:
        most = max(offer.free_memory.get(gpu, 0) for gpu in free)
        return None, "placement.memory", {**node, "need": _gb(demand.need or 0), "free": _gb(most)}
    free = large if len(large) >= count else free
    cool = [gpu for gpu in free if offer.temperature.get(gpu, 0.0) < HOT]
    if elsewhere and len(cool) < count:
        coolest = min(offer.temperature.get(gpu, 0.0) for gpu in free)
        return None, "placement.hot", {**node, "temperature": round(coolest), "limit": round(HOT)}
    order = {gpu: place for place, gpu in enumerate(offer.gpus)}
    best = sorted(
        cool if len(cool) >= count else free,
        key=lambda gpu: (len(load.leases.get(gpu, ())), _warmth(offer.temperature.get(gpu)), order[gpu]),
    )
    return tuple(best[:count]), "placement.fits", {**node, "gpu": ", ".join(best[:count])}


def _may_have(holders: tuple[bool, ...], offer: Offer, demand: Demand, join: bool) -> bool:
    """Nobody has the GPU, or everybody agrees to one more."""
    return not holders or offer.crowded or (join and demand.placement.share and all(holders))


def _candidate(
    offer: Offer, load: Load, demand: Demand, devices: tuple[str, ...] | None, code: str, params: dict[str, Any]
) -> Candidate:
    free = [gpu for gpu in offer.gpus if not load.leases.get(gpu)]
    known = [offer.free_memory[gpu] for gpu in offer.gpus if gpu in offer.free_memory]
    warm = [offer.temperature[gpu] for gpu in offer.gpus if gpu in offer.temperature]
    marks = _marks(offer, load, demand, devices)
    score = (
        sum(weight * mark for (_name, weight), mark in zip(_WEIGHTS, marks, strict=True)) if devices is not None else 0
    )
    return Candidate(
        node=offer.name, fits=devices is not None, code=code, params=params, score=round(score, 3),
        free_gpus=len(free), gpus=len(offer.gpus), free_memory=max(known, default=None),
        temperature=max(warm, default=None), price=offer.price, currency=offer.currency, data_there=load.data_there,
    )  # fmt: skip


def _marks(
    offer: Offer, load: Load, demand: Demand, devices: tuple[str, ...] | None
) -> tuple[float, float, float, float]:
    """What speaks for a node, each from 0 to 1 (a step of ten degrees counts) or to 9."""
    temperature = max((offer.temperature[one] for one in devices or () if one in offer.temperature), default=None)
    return (
        float(offer.name != demand.avoid),
        float(load.data_there),
        9.0 - min(9.0, _warmth(temperature)),
        float(not any(load.used.values())) * 9.0,
    )


def _warmth(temperature: float | None) -> float:
    """Ten degrees are a step; below fifty all are alike."""
    return max(0.0, ((temperature or 0.0) - 40.0) // 10.0)


def _price(offer: Offer) -> float:
    """One without a price is nobody's bill."""
    return offer.price or 0.0


def _reason(
    best: tuple[Offer, Candidate, tuple[str, ...] | None],
    second: tuple[Offer, Candidate, tuple[str, ...] | None] | None,
    loads: Mapping[str, Load],
    demand: Demand,
) -> str:
    """In what it is better than the next best."""
    if second is None:
        return "placement.only_one"
    ours, theirs = (_marks(one[0], loads.get(one[0].name, Load()), demand, one[2]) for one in (best, second))
    for (name, _weight), mine, other in zip(_WEIGHTS, ours, theirs, strict=True):
        if mine > other:
            unknown = name == "cooler" and not set(best[2] or ()) & best[0].temperature.keys()
            return "placement.first" if unknown else f"placement.{name}"
    return "placement.cheaper" if _price(best[0]) < _price(second[0]) else "placement.first"


def _why_waiting(asked: str, candidates: Sequence[Candidate]) -> tuple[str, dict[str, Any]]:
    """One reason where there is one; else that no node can take it, and why of each."""
    if not candidates:
        return "placement.unknown_node", {"node": asked}
    if len(candidates) == 1:
        return candidates[0].code, candidates[0].params
    codes = {candidate.code for candidate in candidates}
    if codes <= {"placement.slots", "placement.gpus_busy", "placement.gpus_wanted"}:
        return "placement.all_busy", {"nodes": len(candidates)}
    return "placement.nowhere", {"nodes": len(candidates)}


def _gb(size: int) -> float:
    return round(size / (1 << 30), 1)
