"""Real Docker engines for tests: this computer's, and "the remote node" with TLS and a way through sshd.

`python -m tests.helpers.docker_engines` starts them by hand and says how to reach them, until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException
from docker.tls import TLSConfig

from tests.helpers import docker_traces
from tests.helpers.docker_certs import Certificates, make_certificates
from tests.helpers.docker_daemon import API_VERSION, DockerServer, answers
from tests.helpers.docker_process import CannotStart
from tests.helpers.docker_ssh import SshServer

SYSTEM_SOCKET = Path("/var/run/docker.sock")
MANAGED = "forge.managed"
"""Label of everything the program makes."""
CHOICE = "FORGE_TEST_ENGINE"
"""`system`: use the engine that answers on this computer already, instead of one of our own."""


class Engine:
    """One engine: how it is reached, and its daemon where the test run started it."""

    def __init__(self, name: str, socket: Path, server: DockerServer | None = None) -> None:
        self.name = name
        self.socket = socket
        self.server = server
        self.api = self.client()
        self._others = set() if server else self._ids({"label": MANAGED})

    @property
    def owned(self) -> bool:
        """Whether the test run started it, and so may stop, kill and hold it."""
        return self.server is not None

    @property
    def url(self) -> str:
        """Its unix socket, as DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are told by variables which engine they use."""
        return {"DOCKER_HOST": self.url}

    def client(self, timeout: float = 60) -> docker.APIClient:
        """A client of its own."""
        return docker.APIClient(self.url, timeout=timeout, version=API_VERSION)

    def answers(self) -> bool:
        """Whether its daemon speaks."""
        return answers(self.socket)

    @property
    def storage_driver(self) -> str:
        """What its layers lie in: overlay2, fuse-overlayfs, vfs …."""
        return str(self.api.info()["Driver"])

    @property
    def daemon(self) -> DockerServer:
        """Its daemon, to be killed and held; only where it is ours."""
        assert self.server is not None, "this engine was there before: it is not ours to kill"
        return self.server

    def clear(self) -> None:
        """Remove containers and volumes: all of an engine of ours, else those of the program that are new."""
        for kind, name in sorted(self._ids({} if self.owned else {"label": MANAGED}) - self._others):
            with contextlib.suppress(DockerException):
                if kind == "container":
                    self.api.remove_container(name, force=True, v=True)
                else:
                    self.api.remove_volume(name, force=True)

    def _ids(self, only: dict[str, str]) -> set[tuple[str, str]]:
        containers = {("container", str(one["Id"])) for one in self.api.containers(all=True, filters=only)}
        volumes = self.api.volumes(filters=only)["Volumes"] or []
        return containers | {("volume", str(one["Name"])) for one in volumes}

    def close(self) -> None:
        """Clear it, and end it if it is ours."""
        try:
            if self.server is not None:
                self.server.ensure()
            self.clear()
        finally:
            self.api.close()
            if self.server is not None:
                self.server.close()


class RemoteEngine(Engine):
    """The second engine: reached over TLS at 127.0.0.1, or at its socket through the sshd."""

    def __init__(self, server: DockerServer, ssh: SshServer, certificates: Certificates) -> None:
        super().__init__("remote", server.socket, server)
        self.ssh = ssh
        self.certificates = certificates

    @property
    def tls_url(self) -> str:
        """Where it listens with TLS."""
        return f"https://127.0.0.1:{self.daemon.tls_port}"

    def tls_client(self, timeout: float = 60) -> docker.APIClient:
        """A client over TLS with the right certificates.

        The version is given; else it is asked for while `trust_env` is on, and REQUESTS_CA_BUNDLE beats our authority.
        """
        client = self.certificates.client
        tls = TLSConfig((str(client.cert), str(client.key)), ca_cert=str(self.certificates.ca), verify=True)
        api = docker.APIClient(self.tls_url, tls=tls, timeout=timeout, version=API_VERSION)
        api.trust_env = False
        return api

    def close(self) -> None:
        """End the sshd too."""
        try:
            super().close()
        finally:
            self.ssh.stop()


@dataclass(frozen=True)
class Engines:
    """Both, as a test run has them."""

    local: Engine
    remote: RemoteEngine
    place: docker_traces.Place

    @contextlib.contextmanager
    def small(self, room: str) -> Iterator[Engine]:
        """One more engine, whose disk has so much room (`64m`): to see it full."""
        server = DockerServer(f"small-{secrets.token_hex(3)}", self.place, room=room)
        try:
            server.start()
            engine = Engine("small", server.socket, server)
            yield engine
            engine.clear()
        finally:
            server.close()


@contextlib.contextmanager
def running_engines(own_local: bool | None = None) -> Iterator[Engines]:
    """Both engines and the sshd; `CannotStart` says why they cannot be.

    The first is our own too, unless FORGE_TEST_ENGINE=system: on an engine in use, tests would adopt, count and
    remove containers of real runs.
    """
    own_local = os.environ.get(CHOICE) != "system" if own_local is None else own_local
    with docker_traces.place() as place, contextlib.ExitStack() as ended:
        local = None if own_local else _answering()
        if local is None:
            server = _started(DockerServer("local", place), ended)
            local = Engine("local", server.socket, server)
        ended.callback(local.close)
        certificates = make_certificates(place.folder / "certificates")
        ssh = SshServer(place.folder / "ssh")
        ssh.start()
        ended.callback(ssh.stop)
        server = _started(DockerServer("remote", place, certificates), ended)
        remote = RemoteEngine(server, ssh, certificates)
        ended.callback(remote.close)
        yield Engines(local, remote, place)


def _started(server: DockerServer, ended: contextlib.ExitStack) -> DockerServer:
    ended.callback(server.close)
    server.start()
    return server


def _answering() -> Engine | None:
    """The system's engine, if one answers."""
    return Engine("local", SYSTEM_SOCKET) if answers(SYSTEM_SOCKET) else None


def stopping(reason: object) -> None:
    """No engine here: the tests are skipped and say why; in continuous integration that is a failure."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"no Docker engine: {reason}", pytrace=False)
    pytest.skip(f"no Docker engine: {reason}")


def describe(engines: Engines) -> dict[str, Any]:
    """How both are reached, for people and programs."""
    remote, ssh = engines.remote, engines.remote.ssh
    found = remote.certificates
    return {
        "local": {"docker_host": engines.local.url, "pid": engines.local.server and engines.local.server.pid},
        "remote": {
            "docker_host": remote.url, "pid": remote.daemon.pid, "tls": remote.tls_url, "ca": str(found.ca),
            "cert": str(found.client.cert), "key": str(found.client.key),
            "ssh": f"{ssh.user}@{ssh.host}:{ssh.port}", "ssh_key": str(ssh.key), "known_hosts": str(ssh.known_hosts),
            "socket_there": str(remote.socket), "ssh_pid": ssh.pid,
        },
        "storage": engines.local.storage_driver,
    }  # fmt: skip


def main() -> int:
    """Start both, put the thin image on both, print how to reach them, wait for Ctrl-C."""
    from tests.helpers.docker_image import thin_image, thin_mounts

    try:
        with running_engines() as engines:
            images = [thin_image(engine) for engine in (engines.local, engines.remote)]
            facts = {**describe(engines), "image": images[0], "mounts": thin_mounts()}
            print(json.dumps(facts, indent=2), flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                docker_traces.until_told(threading.Event())
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
