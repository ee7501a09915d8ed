"""The engine a person means by "this computer's Docker": the one that DOCKER_HOST names, else the usual socket."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from engine.contract.errors import Refused, UserError
from engine.contract.images import EngineSource
from engine.contract.nodes import LOCAL, NodeProfile
from engine.contract.paths import expanded
from engine.control.executors.docker.client import EngineClient
from engine.control.executors.docker.engine_link import EngineLink
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.opening import open_link

NAME = f"{LOCAL}-engine"
CERTIFICATES = "~/.docker"
FILES = ("ca.pem", "cert.pem", "key.pem")
PLAIN_PORT = 2375


class PlainLink(EngineLink):
    """An engine that listens within this computer, without TLS."""

    def _client(self, version: str) -> EngineClient:
        return EngineClient(f"http://{self.address}", version=version)


def open_here(source: EngineSource | None = None) -> Link:
    """A link to it; asks nobody yet. Refused where the variables name nothing that can be used."""
    found = source or EngineSource.of_environment()
    host = found.host.strip()
    if not host or host.startswith("unix://"):
        return open_link(NodeProfile(name=NAME, kind="docker_local", address=host.removeprefix("unix://")))
    try:
        parts = urlsplit(host)
        address = parts.netloc if parts.scheme in ("tcp", "ssh", "https", "http") and parts.hostname else ""
        port = parts.port
    except ValueError:
        address, port = "", None
    if not address:
        raise UserError("image.bad_host", host=host)
    if parts.scheme == "ssh":
        socket = parts.path if parts.path != "/" else ""
        return _opened(NodeProfile(name=NAME, kind="docker_ssh", address=address, docker_socket=socket), host)
    if found.verify or parts.scheme == "https":
        return _opened(_by_tls(found, address), host)
    if not _is_here(parts.hostname or ""):
        raise UserError("image.open_host", host=host)
    return PlainLink(NAME, f"{parts.hostname}:{port or PLAIN_PORT}")


def _by_tls(source: EngineSource, address: str) -> NodeProfile:
    folder = expanded(source.certificates or CERTIFICATES)
    ca, certificate, key = (str(path) if (path := folder / name).exists() else "" for name in FILES)
    return NodeProfile(name=NAME, kind="docker_tls", address=address, ca=ca, certificate=certificate, key=key)


def _opened(profile: NodeProfile, host: str) -> Link:
    try:
        return open_link(profile)
    except Refused as error:
        raise UserError("image.bad_host", host=host) from error


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
