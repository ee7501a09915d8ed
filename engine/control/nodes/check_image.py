"""The worker image: is it there, and does it speak our language?"""

from __future__ import annotations

from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import UserError
from engine.control.executors.docker.labels import COMMIT, PROTOCOL, VERSION
from engine.control.nodes.findings import Finding, bad, ok
from engine.control.nodes.visit import Visit


def image(visit: Visit) -> Finding:
    """By its labels; nothing is started."""
    if not visit.image:
        return bad(UserError("node.image_unset", node=visit.node))
    found = visit.image_facts
    if found is None:
        return bad(UserError("node.image_missing", node=visit.node, image=visit.image), image=visit.image)
    visit.facts.image = str(found.get("Id", ""))
    labels = (found.get("Config") or {}).get("Labels") or {}
    facts = {
        "image": visit.image, "id": visit.facts.image, "bytes": int(found.get("Size") or 0),
        "version": labels.get(VERSION, ""), "commit": labels.get(COMMIT, ""), "protocol": labels.get(PROTOCOL, ""),
    }  # fmt: skip
    if PROTOCOL not in labels:
        return bad(UserError("node.image_not_ours", node=visit.node, image=visit.image), **facts)
    if labels[PROTOCOL] != str(PROTOCOL_VERSION):
        params = {"image": visit.image, "theirs": labels[PROTOCOL], "ours": str(PROTOCOL_VERSION)}
        return bad(UserError("node.image_protocol", problems=(), node=visit.node, **params), **facts)
    return ok(**facts)
