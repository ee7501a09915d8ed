"""What keeps containers apart there, and who else uses the node."""

from __future__ import annotations

from typing import Any

from engine.contract.errors import UserError
from engine.control.executors.docker.names import PREFIX
from engine.control.nodes.findings import Finding, ok, warning
from engine.control.nodes.visit import Visit

LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "processor"}


def isolation(visit: Visit) -> Finding:
    """Nothing here forbids runs: our containers are no root and have no capabilities anyhow."""
    options = [str(option) for option in visit.info.get("SecurityOptions") or []]
    kinds = {part.removeprefix("name=") for option in options for part in option.split(",") if "name=" in part}
    facts = {
        "userns": "userns" in kinds, "rootless": "rootless" in kinds, "apparmor": "apparmor" in kinds,
        "selinux": "selinux" in kinds, "seccomp": "seccomp" in kinds and "profile=unconfined" not in str(options),
    }  # fmt: skip
    missing = [text for name, text in LIMITS.items() if visit.info.get(name) is False]
    if missing:
        facts_and_limits = {**facts, "missing": missing}
        return warning(UserError("node.no_limits", node=visit.node, limits=", ".join(missing)), **facts_and_limits)
    if not facts["seccomp"]:
        return warning(UserError("node.no_seccomp", node=visit.node), **facts)
    return ok(**facts)


def owner(visit: Visit) -> Finding:
    """Two controllers give away the same GPUs twice."""
    only = {"label": f"{PREFIX}managed"}
    boxes = visit.link.ask(lambda api: api.containers(all=True, filters=only), 30.0)
    others = [box for box in boxes if _controller(box) not in ("", visit.controller)]
    running = [box for box in others if box.get("State") == "running"]
    facts: dict[str, Any] = {"ours": len(boxes) - len(others), "others": len(others), "running": len(running)}
    if not others:
        return ok(**facts)
    names = ", ".join(sorted({_controller(box) for box in others}))
    params = {"count": len(others), "running": len(running), "controllers": names, "controller": visit.controller}
    return warning(UserError("node.two_controllers", problems=(), node=visit.node, **params), **facts)


def _controller(box: dict[str, Any]) -> str:
    return str((box.get("Labels") or {}).get(f"{PREFIX}controller", ""))
