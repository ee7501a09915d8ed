"""GPUs: whether there are any, whether containers get them, and whether they are sound."""

from __future__ import annotations

from engine.contract.errors import UserError
from engine.contract.nodes import GpuFacts
from engine.control.executors.docker.link import EngineRefused
from engine.control.nodes.findings import Finding, bad, ok, skipped, warning
from engine.control.nodes.probe import Report, SeenGpu
from engine.control.nodes.visit import Visit

OLDEST_DRIVER = 525
"""Of CUDA 12."""


def runtime(visit: Visit) -> Finding:
    """Does Docker know how to give GPUs to containers?"""
    if visit.has_runtime:
        return ok(runtime="nvidia", default=visit.info.get("DefaultRuntime") == "nvidia")
    found = visit.seen
    return bad(UserError("node.no_runtime", node=visit.node, count=len(found.pci))) if found.pci else _no_gpu(visit)


def driver(visit: Visit) -> Finding:
    """Is NVIDIA's driver there, and new enough?"""
    if (problem := _given(visit)) is not None:
        return problem
    found = visit.seen_with_gpus
    if found.nvml_error:
        if not found.pci and not found.driver_file:
            return _no_gpu(visit)
        return bad(UserError("node.driver_broken", node=visit.node, detail=found.nvml_error))
    return judge_driver(visit.node, found.driver)


def judge_driver(node: str, version: str) -> Finding:
    """By its version."""
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_DRIVER:
        return warning(UserError("node.driver_old", node=node, version=version, oldest=OLDEST_DRIVER), version=version)
    return ok(version=version)


def gpus(visit: Visit) -> Finding:
    """Which ones a container really got."""
    if (problem := _given(visit)) is not None:
        return problem
    found = visit.seen_with_gpus
    visit.facts.gpus = [
        GpuFacts(index=gpu.index, name=gpu.name, uuid=gpu.uuid, memory=gpu.memory, ecc=gpu.ecc) for gpu in found.gpus
    ]
    visit.facts.gives_gpus = bool(found.gpus)
    if not found.gpus and not found.pci:
        return _no_gpu(visit)
    return judge_gpus(visit.node, found)


def judge_gpus(node: str, found: Report) -> Finding:
    """Are all there, and is their memory sound?"""
    facts = {"gpus": [gpu.model_dump() for gpu in found.gpus], "count": len(found.gpus), "devices": len(found.pci)}
    if not found.gpus:
        detail = found.nvml_error or "The container saw none."
        return bad(UserError("node.gpu_start", node=node, detail=detail), **facts)
    broken = [gpu for gpu in found.gpus if gpu.uncorrected]
    if broken:
        return warning(UserError("node.gpu_ecc", node=node, gpus=_names(broken)), **facts)
    if len(found.pci) > len(found.gpus):
        error = UserError("node.gpu_missing", node=node, count=len(found.gpus), devices=len(found.pci))
        return warning(error, **facts)
    return ok(**facts)


def _given(visit: Visit) -> Finding | None:
    """Why there is nothing to look at: no GPU, no runtime, or a container with GPUs that does not start."""
    if not visit.has_runtime and not visit.seen.pci:
        return _no_gpu(visit)
    try:
        _ = visit.seen_with_gpus
    except EngineRefused as error:
        visit.facts.gives_gpus = False
        if "could not select device driver" in error.detail:
            return bad(UserError("node.no_runtime", node=visit.node, count=len(visit.seen.pci) or "?"))
        if not visit.seen.pci:
            return _no_gpu(visit)
        return bad(UserError("node.gpu_start", node=visit.node, detail=error.detail))
    return None


def _no_gpu(visit: Visit) -> Finding:
    visit.facts.gives_gpus = False
    return skipped(UserError("node.no_gpu", node=visit.node), count=0)


def _names(found: list[SeenGpu]) -> str:
    return ", ".join(f"{gpu.index} ({gpu.name}): {gpu.uncorrected}" for gpu in found)
