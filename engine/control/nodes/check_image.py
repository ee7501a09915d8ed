"""The worker image: is it there, and does it speak our language?"""

from __future__ import annotations

from engine.contract.errors import UserError
from engine.control.executors.docker.images import require_image
from engine.control.nodes.findings import Finding, bad, ok
from engine.control.nodes.visit import Visit


def image(visit: Visit) -> Finding:
    """By its labels; nothing is started."""
    if not visit.image:
        return bad(UserError("node.image_unset", node=visit.node))
    found = visit.found_image
    if found is not None:
        visit.facts.image = found.id
    try:
        found = visit.link.ask(lambda api: require_image(api, visit.image, visit.node))
    except UserError as error:
        if not error.code.startswith("image."):
            raise
        return bad(error, image=visit.image, protocol=found.protocol if found else None)
    facts = {"version": found.version, "commit": found.commit, "protocol": found.protocol, "bytes": found.bytes}
    return ok(image=visit.image, id=found.id, **facts)
