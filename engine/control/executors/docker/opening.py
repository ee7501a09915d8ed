"""Which link a node's profile asks for."""

from __future__ import annotations

import threading

from engine.contract.errors import Refused, Unreachable
from engine.contract.node_address import ssh_address, tls_address
from engine.contract.node_check import problems_of
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker import link_folder
from engine.control.executors.docker.keys import KeyringSecrets
from engine.control.executors.docker.link import Link, LinkSecrets
from engine.control.executors.docker.local import LocalLink
from engine.control.executors.docker.ssh import SshLink
from engine.control.executors.docker.tls import TlsLink

_swept = threading.Event()


def open_link(profile: NodeProfile, secrets: LinkSecrets | None = None) -> Link:
    """A link to this node's engine. It waits for nothing: the first question does, and says what is wrong."""
    if not _swept.is_set():
        _swept.set()
        link_folder.sweep()
    if problems := problems_of(profile.model_dump(), look=False):
        raise Refused("node.refused", name=profile.name, problems=problems)
    kept = secrets or KeyringSecrets()
    if profile.kind == "docker_local":
        return LocalLink(profile.name, profile.address.strip().removeprefix("unix://"))
    if profile.kind == "docker_tls" and (address := tls_address(profile.address)):
        return TlsLink(profile, address, kept)
    if profile.kind == "docker_ssh" and (address := ssh_address(profile.address)):
        return SshLink(profile, address, kept)
    raise Unreachable("node.no_engine", node=profile.name)
