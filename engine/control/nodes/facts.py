"""What an engine says of its computer in one quick answer; for whoever only wants to know that it is well."""

from __future__ import annotations

from engine.contract.nodes import NodeFacts
from engine.control.executors.docker.link import QUICK_S, Link


def facts_of(link: Link, timeout: float = QUICK_S) -> NodeFacts:
    """Version, processors, memory, live-restore. Raises what is in the way. GPUs and image are the doctor's to find."""
    info = link.ask(lambda api: api.info(), timeout)
    return NodeFacts(
        engine=str(info.get("ServerVersion", "")),
        system=f"{info.get('OperatingSystem', '')} · {info.get('KernelVersion', '')} · {info.get('Architecture', '')}",
        cpus=int(info.get("NCPU") or 0),
        memory=int(info.get("MemTotal") or 0),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        engine_id=str(info.get("ID", "")),
    )
