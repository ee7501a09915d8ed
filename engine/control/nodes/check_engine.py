"""Docker itself: its version, and whether containers outlive it."""

from __future__ import annotations

from engine.contract.errors import UserError
from engine.control.nodes.findings import Finding, bad, ok, warning
from engine.control.nodes.visit import Visit


def version(visit: Visit) -> Finding:
    """Links refuse engines that are too old; here it is said what there is."""
    found = visit.version
    visit.facts.engine = str(found.get("Version", ""))
    system = f"{visit.info.get('OperatingSystem', '')} · {found.get('KernelVersion', '')} · {found.get('Arch', '')}"
    visit.facts.system = system
    facts = {"version": visit.facts.engine, "api": str(found.get("ApiVersion", "")), "system": system}
    if found.get("Os", "linux") != "linux":
        return bad(UserError("node.not_linux", node=visit.node, system=str(found["Os"])), **facts)
    return ok(**facts)


def live_restore(visit: Visit) -> Finding:
    """Without it, containers end whenever Docker is restarted or updated."""
    on = bool(visit.info.get("LiveRestoreEnabled"))
    visit.facts.live_restore = on
    return ok(on=True) if on else warning(UserError("node.no_live_restore", node=visit.node), on=False)
