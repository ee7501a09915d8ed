"""Host keys that a server shows before anybody logs in: to compare them, never to trust them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from engine.contract.errors import Unreachable
from engine.contract.node_address import Address, HostKey, host_key

SCAN_S = 8


def of_fingerprint(node: str, where: Address, wanted: HostKey, config: Path | None) -> HostKey | None:
    """The server's key that has the wanted fingerprint; ssh then insists on that key.

    None where the server shows no key at all: ssh itself says better why.
    """
    shown = scan(where, config)
    for key in shown:
        if key.fingerprint == wanted.fingerprint:
            return key
    if shown:
        found = ", ".join(key.fingerprint for key in shown)
        raise Unreachable("node.host_changed", node=node, address=str(where), fingerprint=found)
    return None


def unknown(node: str, where: Address, config: Path | None) -> Unreachable:
    """Nobody knows this host: say what it shows, so that a person can compare."""
    shown = scan(where, config)
    best = next((key for key in shown if key.kind == "ssh-ed25519"), shown[0] if shown else None)
    fingerprint = best.fingerprint if best else "?"
    return Unreachable("node.host_unknown", node=node, address=str(where), fingerprint=fingerprint)


def scan(where: Address, config: Path | None = None) -> list[HostKey]:
    """What the server shows now; empty where it does not answer."""
    program = shutil.which("ssh-keyscan")
    if program is None:
        return []
    host, port = _resolved(where, config)
    command = [program, "-T", str(SCAN_S // 2), "-p", port, "--", host]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SCAN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in done.stdout.decode(errors="replace").splitlines() if not line.startswith("#")]
    return [key for line in lines if (key := host_key(line)) is not None]


def _resolved(where: Address, config: Path | None) -> tuple[str, str]:
    """The host that a name of the person's ssh_config stands for."""
    host, port = where.host, str(where.port)
    program = shutil.which("ssh")
    if program is None:
        return host, port
    command = [program, *(["-F", str(config)] if config else []), "-G", "-p", port, "--", host]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SCAN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return host, port
    said = dict(line.partition(" ")[::2] for line in done.stdout.decode(errors="replace").splitlines())
    found = said.get("hostname", host)
    return (host, port) if found.startswith("-") else (found, said.get("port", port))
