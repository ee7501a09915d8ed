"""What ssh means by what it says. It has no codes, so its English words are read."""

from __future__ import annotations

import re
from typing import Any

from engine.contract.errors import Unreachable
from engine.control.executors.docker.trouble import short

FINGERPRINT = re.compile(r"(SHA256:[A-Za-z0-9+/]{43})")
REASONS: tuple[tuple[str, str], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|[Hh]ost key for .* has changed|REVOKED HOST KEY", "node.host_changed"),
    (r"No .*host key is known|Host key verification failed|authenticity of host", "node.host_unknown"),
    (r"UNPROTECTED PRIVATE KEY|bad permissions", "node.key_open"),
    (r"Load key .*(?:invalid format|error in libcrypto|not a|no such|unsupported)", "node.ssh_key_bad"),
    (r"incorrect passphrase", "node.key_locked"),
    (r"Permission denied \(|Too many authentication failures|No more authentication methods", "node.login_refused"),
    (
        r"administratively prohibited|forwarding disabled|Stream local forwarding .*(?:refused|fail)",
        "node.no_forwarding",
    ),
    (r"Could not resolve hostname|Name or service not known", "node.unknown_host"),
    (r"Connection refused", "node.port_refused"),
    (r"timed out|Timeout, server .* not responding", "node.no_answer"),
    (r"No route to host|[Nn]etwork is unreachable|[Hh]ost is (?:down|unreachable)", "node.no_route"),
    (r"kex_exchange_identification|ssh_exchange_identification|Bad packet|banner", "node.not_ssh"),
    (r"Bad owner or permissions|Bad configuration option|terminating, \d+ bad", "node.ssh_config"),
    (r"Connection closed by|Connection reset by", "node.not_ssh"),
)
"""The first that is found speaks: the reasons stand above what follows from them."""


def explain(words: str, node: str, address: str, seconds: float, login: str) -> Unreachable:
    """Why there is no tunnel, from ssh's own words; without any it was silent until the time was over."""
    lines = [line for line in words.splitlines() if line.strip()]
    found = next((code for pattern, code in REASONS if re.search(pattern, words)), "")
    fingerprints = FINGERPRINT.findall(words)
    params: dict[str, Any] = {
        "address": address,
        "seconds": f"{seconds:g}",
        "user": login,
        "fingerprint": fingerprints[-1] if fingerprints else "?",
        "detail": short(lines[-1]) if lines else "",
    }
    if not found:
        found = "node.ssh_failed" if lines else "node.no_answer"
    return Unreachable(found, node=node, **params)
