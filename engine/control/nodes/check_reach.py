"""Does it answer, and does it let us in?"""

from __future__ import annotations

import time

from engine.contract.errors import Unreachable, UserError
from engine.control.nodes.findings import Finding, bad, ok, warning
from engine.control.nodes.visit import Visit

PINGS = 5
DOORKEEPERS = frozenset(
    f"node.{code}"
    for code in (
        "server_expired", "server_not_yet", "server_foreign", "server_name", "server_bad", "plain_http",
        "client_expired", "client_foreign", "client_missing", "certificate_bad", "key_bad", "key_of_another",
        "key_locked", "key_open",
        "file_missing", "file_unreadable", "secret_missing", "host_unknown", "host_changed", "login_refused",
        "ssh_key_bad", "socket_denied", "socket_denied_there", "no_forwarding",
    )
)  # fmt: skip
"""Somebody answered, or we had nothing to show: that is no matter of the network."""
TOO_OLD = "node.engine_old"
WAYS = {"docker_local": "socket", "docker_ssh": "ssh", "docker_tls": "tls"}


def reach(visit: Visit) -> Finding:
    """How long a question takes."""
    visit.link.forget()
    taken = []
    try:
        for _ in range(PINGS):
            began = time.perf_counter()
            visit.link.ask(lambda api: api.ping())
            taken.append((time.perf_counter() - began) * 1000)
    except Unreachable as error:
        if error.code in (*DOORKEEPERS, TOO_OLD):
            return ok(address=visit.profile.address)
        return bad(error, address=visit.profile.address)
    # The first one opened the way.
    return ok(milliseconds=round(sorted(taken[1:])[len(taken[1:]) // 2], 2), opening=round(taken[0], 1))


def authentication(visit: Visit) -> Finding:
    """Whether we may, and whether everybody may."""
    try:
        visit.link.ask(lambda api: api.version())
    except Unreachable as error:
        if error.code != TOO_OLD:  # that is the next check's matter
            raise
    profile = visit.profile
    way = WAYS.get(profile.kind, profile.kind)
    if profile.kind == "docker_tls" and not profile.certificate:
        return warning(UserError("node.open_to_all", node=visit.node), way=way)
    return ok(way=way, pinned=bool(profile.host_key)) if profile.kind == "docker_ssh" else ok(way=way)
