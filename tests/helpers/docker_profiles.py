"""Profiles and links of the test engines, and what links must leave: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.contract.errors import Unreachable
from engine.contract.node_address import ssh_address
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker import link_folder
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


def ping(api: Any) -> bool:
    return bool(api.ping())


def code_of(link) -> str:
    with pytest.raises(Unreachable) as caught:
        link.ask(ping, 5)
    assert caught.value.what
    assert caught.value.why
    assert caught.value.fix
    assert "{" not in caught.value.text
    return caught.value.code


def answers(link, seconds: float = 10) -> bool:
    try:
        return bool(link.ask(ping, seconds))
    except Unreachable:
        return False


def folders() -> set[str]:
    mine = link_folder._place()
    return {folder.name for folder in mine.glob(f"{link_folder.PREFIX}*")}


@pytest.fixture
def nothing_left(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    yield
    assert folders() == set()
    assert not [child for child in psutil.Process().children() if child.name() == "ssh"]
