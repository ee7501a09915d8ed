"""What an order asks of nodes that none of them can ever give: refused at once, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from engine.contract.compute import Placement
from engine.contract.errors import Problem
from engine.contract.nodes import NodeProfile
from engine.control.jobs.scheduler import AUTO

NODE, EXECUTOR, IMAGE, LABELS = "compute.node", "compute.executor", "compute.image", "compute.labels"


def problems_of(
    place: Placement, profiles: Sequence[NodeProfile], gpus: Mapping[str, int] | None = None
) -> list[Problem]:
    """Everything that contradicts itself or names what is not there. A node that is only busy or away is no problem.

    `gpus`: how many a node has, of those where that is known.
    """
    if place.node == AUTO:
        docker = {profile.kind != "process" for profile in profiles}
        if place.executor != "auto" and (place.executor == "docker") not in docker:
            return [Problem(code="config.no_such_executor", field=EXECUTOR, params={"value": place.executor})]
        return []
    named = next((profile for profile in profiles if profile.name == place.node), None)
    if named is None:
        return [_unknown(place.node, [AUTO, *(profile.name for profile in profiles)])]
    return [*_contradictions(place, named), *_too_few(place, named.name, gpus or {})]


def _too_few(place: Placement, node: str, gpus: Mapping[str, int]) -> list[Problem]:
    wanted = place.gpus or 0
    if wanted < 2 or gpus.get(node, wanted) >= wanted:
        return []
    params = {"node": node, "gpus": gpus[node], "wanted": wanted}
    return [Problem(code="config.too_few_gpus", field="compute.gpus", params=params)]


def _unknown(name: str, known: list[str]) -> Problem:
    near = difflib.get_close_matches(name.lower(), {one.lower(): one for one in known}, n=1, cutoff=0.6)
    if near:
        meant = next(one for one in known if one.lower() == near[0])
        return Problem(code="config.node_near", field=NODE, params={"value": name, "near": meant})
    return Problem(code="config.node_unknown", field=NODE, params={"value": name, "known": ", ".join(known[:20])})


def _contradictions(place: Placement, node: NodeProfile) -> list[Problem]:
    problems, process = [], node.kind == "process"
    if place.executor == "docker" and process:
        problems.append(Problem(code="config.node_process", field=EXECUTOR, params={"node": node.name}))
    if place.executor == "process" and not process:
        problems.append(Problem(code="config.node_docker", field=EXECUTOR, params={"node": node.name}))
    if place.image and process:
        problems.append(Problem(code="config.image_without_docker", field=IMAGE, params={"node": node.name}))
    missing = [f"{key}={value}" for key, value in place.labels.items() if node.labels.get(key) != value]
    if missing:
        params = {"node": node.name, "labels": ", ".join(missing)}
        problems.append(Problem(code="config.node_labels", field=LABELS, params=params))
    return problems
