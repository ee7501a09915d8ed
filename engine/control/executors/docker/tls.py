"""The way to a Docker engine that listens with TLS: both sides show a certificate."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

import requests.adapters

from engine.contract.errors import Unreachable, UserError
from engine.contract.node_address import Address
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker import trouble
from engine.control.executors.docker.client import EngineClient
from engine.control.executors.docker.engine_link import CONNECT_S, EngineLink
from engine.control.executors.docker.keys import content_of
from engine.control.executors.docker.link import LinkSecrets
from engine.control.executors.docker.link_folder import LinkFolder
from engine.control.executors.docker.trouble import Way
from engine.control.executors.docker.validity import valid_until

SECOND_LOOK_S = 3.0
ALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]
"""A stream that follows a log has no time-out: a dead way is found out by the system after 25 s."""


class TlsLink(EngineLink):
    """An engine at host and port. Certificates are read when the first question is asked, and again after `forget`."""

    def __init__(self, profile: NodeProfile, address: Address, secrets: LinkSecrets) -> None:
        super().__init__(profile.name, str(address))
        self._profile = profile
        self._where = address
        self._secrets = secrets
        self._context: ssl.SSLContext | None = None
        self._reading = threading.Lock()

    def forget(self) -> None:
        """Certificates may have been renewed as well."""
        self._context = None
        super().forget()

    def _client(self, version: str) -> EngineClient:
        client = EngineClient(f"https://{_host(self._where)}:{self._where.port}", version=version)
        client.mount("https://", _Adapter(self._trust()))
        return client

    def _trust(self) -> ssl.SSLContext:
        with self._reading:
            context = self._context or make_context(self._profile, self._secrets)
            self._context = context
            return context

    def _explain(self, error: BaseException, seconds: float) -> UserError:
        found = super()._explain(error, seconds)
        if found.code == "node.broken":
            found = self._second_look() or found
        if found.code == "node.client_foreign" and self._has_expired():
            return Unreachable("node.client_expired", node=self.node, address=self.address)
        return found

    def _has_expired(self) -> bool:
        """Whether it is our own certificate's fault; many servers only say that they do not like it."""
        try:
            raw = content_of(self.node, "certificate", self._profile.certificate, self._secrets)
        except UserError:
            return False
        end = valid_until(raw.decode(errors="replace"))
        return end is not None and end < time.time()

    def _second_look(self) -> UserError | None:
        """A server that refuses our certificate may close before its reason is read: listen to it alone."""
        where = (self._where.host, self._where.port)
        try:
            with (
                socket.create_connection(where, SECOND_LOOK_S) as plain,
                self._trust().wrap_socket(plain, server_hostname=self._where.host) as talk,
                contextlib.suppress(TimeoutError),
            ):
                talk.recv(1)
        except OSError as error:
            found = trouble.explain(error, Way(self.node, self.address, SECOND_LOOK_S))
            return None if found.code == "node.broken" else found
        return None


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections with our certificates and nobody else's, and a limit for making them."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, socket_options=ALIVE, **more)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context knows whom to trust; requests would add the world's authorities to it."""

    def send(self, request: Any, *more: Any, **kept: Any) -> requests.Response:
        seconds = kept.get("timeout")
        if isinstance(seconds, int | float):
            kept["timeout"] = (min(CONNECT_S, seconds), seconds)
        return super().send(request, *more, **kept)


def make_context(profile: NodeProfile, secrets: LinkSecrets) -> ssl.SSLContext:
    """Whom we trust, and who we are. Without an authority of its own a node must show what the system trusts."""
    # Not create_default_context: from Python 3.13 on it refuses authorities made as Docker's manual says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if profile.ca:
        _load_authority(context, profile, secrets)
    else:
        context.load_default_certs()
    if profile.certificate or profile.key:
        _load_identity(context, profile, secrets)
    return context


def _load_authority(context: ssl.SSLContext, profile: NodeProfile, secrets: LinkSecrets) -> None:
    raw = content_of(profile.name, "ca", profile.ca, secrets)
    try:
        context.load_verify_locations(cadata=raw.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise Unreachable("node.certificate_bad", node=profile.name, setting="ca", file=profile.ca) from None


def _load_identity(context: ssl.SSLContext, profile: NodeProfile, secrets: LinkSecrets) -> None:
    """The client's certificate and key; ssl reads them from files only."""
    name = profile.name
    certificate = content_of(name, "certificate", profile.certificate or profile.key, secrets)
    key = content_of(name, "key", profile.key or profile.certificate, secrets)
    folder = LinkFolder()
    try:
        files = folder.private("certificate", certificate), folder.private("key", key)
        context.load_cert_chain(*files, password=_no_passphrase)
    except _LockedError:
        raise Unreachable("node.key_locked", node=name, file=profile.key) from None
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in (error.reason or ""):
            code, setting, file = "node.key_of_another", "key", profile.key
        elif b"CERTIFICATE-----" not in certificate:
            code, setting, file = "node.certificate_bad", "certificate", profile.certificate
        else:
            code, setting, file = "node.key_bad", "key", profile.key
        raise Unreachable(code, node=name, setting=setting, file=file) from None
    finally:
        folder.remove()


class _LockedError(Exception):
    pass


def _no_passphrase() -> str:
    """Asked where a key has one; the library would ask on the terminal."""
    raise _LockedError


def _host(address: Address) -> str:
    return f"[{address.host}]" if ":" in address.host else address.host
