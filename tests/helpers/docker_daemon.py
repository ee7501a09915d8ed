"""A Docker daemon with everything of its own: data, sockets, bridge, containerd; nothing else changes."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.helpers import docker_traces
from tests.helpers.docker_certs import Certificates
from tests.helpers.docker_process import Server, find_program, free_port

API_VERSION = "1.41"
"""Of the interface; every engine since 20.10 knows it."""


def answers(socket: Path) -> bool:
    """Whether a daemon speaks at this socket."""
    if not socket.exists():
        return False
    try:
        with contextlib.closing(docker.APIClient(f"unix://{socket}", timeout=5, version=API_VERSION)) as api:
            return bool(api.ping())
    except (DockerException, OSError):
        return False


class DockerServer(Server):
    """A dockerd with everything of its own below one folder; live-restore, so containers outlive its death."""

    def __init__(
        self, name: str, place: docker_traces.Place, certificates: Certificates | None = None, room: str | None = None
    ) -> None:
        self.folder = place.folder / name
        self.folder.mkdir()
        if room:
            (self.folder / "data").mkdir()
            docker_traces.mount("-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(self.folder / "data"))
        self.socket = self.folder / "docker.sock"
        self.certificates = certificates
        self.tls_port = free_port() if certificates else None
        self._place = place
        self._bridge = place.make_bridge()
        self._program = find_program("/usr/sbin/dockerd", "/usr/bin/dockerd")
        self._containerd = _Containerd(self.folder / "containerd")
        super().__init__(name, self._command("right"), self.folder / "log", lambda: answers(self.socket))

    def _command(self, presented: str) -> list[str]:
        listen = ["-H", f"unix://{self.socket}"]
        if self.certificates is not None:
            pair = self.certificates.servers()[presented]
            listen += ["-H", f"tcp://127.0.0.1:{self.tls_port}", "--tlsverify", "--tlscacert"]
            listen += [str(self.certificates.ca), "--tlscert", str(pair.cert), "--tlskey", str(pair.key)]
        # No packet filter and no forwarding: nothing of the machine is changed but the bridge, and published ports of
        # 127.0.0.1 go through docker's own proxy. Without -b a second engine would take docker0 from the first.
        return [
            self._program, *listen, "--containerd", str(self._containerd.socket),
            "--config-file", str(self.folder / "daemon.json"),
            "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
            "--pidfile", str(self.folder / "pid"), "--bridge", self._bridge.name,
            "--default-address-pool", f"base={self._bridge.pool},size=28", "--cgroup-parent", self._place.cgroup,
            "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--live-restore",
            "--exec-opt", "native.cgroupdriver=cgroupfs",
            "--shutdown-timeout", "5",
        ]  # fmt: skip

    def _identity(self) -> dict[str, str]:
        """Engines before 23 take their id from one file of the machine: two would have the same."""
        said = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=True).stdout
        old = int(said.split("version ")[1].split(".")[0]) < 23
        return {"deprecated-key-path": str(self.folder / "key.json")} if old else {}

    def start(self, timeout: float = 60) -> None:
        """Start it; with a config file of its own, so that the machine's does not count."""
        (self.folder / "daemon.json").write_text(json.dumps(self._identity()))
        if self._containerd.pid is None:
            self._containerd.start()
        super().start(timeout)

    def close(self) -> None:
        """End it for good, and what held its containers."""
        self.stop()
        self._containerd.stop()

    @contextlib.contextmanager
    def presenting(self, certificate: str) -> Iterator[None]:
        """Started again with another certificate: `expired`, `mismatched` or `foreign`; right again afterwards."""
        self.command = self._command(certificate)
        try:
            self.restart()
            yield
        finally:
            self.command = self._command("right")
            self.restart()


class _Containerd(Server):
    """A containerd of one engine, which lives on when the daemon is killed, as on a usual machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.socket = folder / "containerd.sock"
        config = folder / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.socket}"\n[ttrpc]\naddress = "{self.socket}.ttrpc"\n'
        )
        program = find_program("/usr/bin/containerd", "/usr/sbin/containerd")
        super().__init__("containerd", [program, "--config", str(config)], folder / "log", self.socket.exists)

    def stop(self, timeout: float = 30) -> None:
        super().stop(timeout)
        self.socket.unlink(missing_ok=True)
