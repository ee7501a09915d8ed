"""Profiles and links of the test engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.contract.node_address import ssh_address
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker.keys import KeyringSecrets
from engine.control.executors.docker.link import Link, LinkSecrets
from engine.control.executors.docker.opening import open_link
from engine.control.executors.docker.ssh import SshLink
from tests.helpers.docker_engines import Engine, RemoteEngine


class GivenSecrets:
    """A keyring that holds what a test says."""

    def __init__(self, **kept: str) -> None:
        self.kept = kept
        self.asked: list[str] = []

    def get(self, reference: str) -> str | bytes:
        self.asked.append(reference)
        return self.kept.get(reference, "")


def local_profile(engine: Engine, **more: Any) -> NodeProfile:
    return NodeProfile(**{"name": "here", "kind": "docker_local", "address": str(engine.socket), **more})


def tls_profile(engine: RemoteEngine, **more: Any) -> NodeProfile:
    found = engine.certificates
    values: dict[str, Any] = {
        "name": "far", "kind": "docker_tls", "address": f"127.0.0.1:{engine.daemon.tls_port}", "ca": str(found.ca),
        "certificate": str(found.client.cert), "key": str(found.client.key),
    }  # fmt: skip
    return NodeProfile(**{**values, **more})


def ssh_profile(engine: RemoteEngine, **more: Any) -> NodeProfile:
    ssh = engine.ssh
    values: dict[str, Any] = {
        "name": "far", "kind": "docker_ssh", "address": f"{ssh.user}@{ssh.host}:{ssh.port}", "key": str(ssh.key),
        "host_key": ssh.known_hosts.read_text(), "docker_socket": str(engine.socket),
    }  # fmt: skip
    return NodeProfile(**{**values, **more})


@contextmanager
def linked(profile: NodeProfile, secrets: LinkSecrets | None = None) -> Iterator[Link]:
    link = open_link(profile, secrets)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def ssh_linked(profile: NodeProfile, config: Path | None = None) -> Iterator[SshLink]:
    address = ssh_address(profile.address)
    assert address is not None
    link = SshLink(profile, address, KeyringSecrets(), config)
    try:
        yield link
    finally:
        link.close()
