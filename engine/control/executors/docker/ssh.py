"""The way to a Docker engine on another computer through its sshd: the system's ssh, with its host key checked."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from engine.contract.errors import Unreachable, UserError
from engine.contract.node_address import Address, HostKey, host_key
from engine.contract.nodes import NodeProfile
from engine.contract.paths import expanded
from engine.control.executors.docker import host_keys, ssh_words
from engine.control.executors.docker.client import EngineClient
from engine.control.executors.docker.engine_link import EngineLink
from engine.control.executors.docker.keys import content_of, file_content
from engine.control.executors.docker.link import LinkSecrets
from engine.control.executors.docker.link_folder import LinkFolder
from engine.control.executors.docker.local import USUAL
from engine.control.executors.docker.ports import HOST, Port, Relay, SocketFar
from engine.control.executors.docker.tunnel import Tunnel

ALIAS = "forge-node"
"""Under this name the far host's key is looked up where the profile gives it."""
LOOK_S = 15.0
VERDICT_S = 10.0
FORWARD_S = 20.0
NO_SOCKET, NO_PERMISSION, NOBODY, FORBIDDEN = 101, 102, 103, 104
"""What the question after the far socket ends with."""
OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "ExitOnForwardFailure=yes", "ConnectTimeout=10",
    "ServerAliveInterval=5", "ServerAliveCountMax=3", "TCPKeepAlive=yes", "StreamLocalBindMask=0177",
    "StreamLocalBindUnlink=yes", "ControlMaster=no", "ControlPath=none", "ForwardAgent=no", "ForwardX11=no",
    "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no", "UpdateHostKeys=no", "LogLevel=INFO",
)  # fmt: skip
"""Given on the command line, where they count more than the person's own ssh_config."""


class SshLink(EngineLink):
    """An engine's socket at the far end of a tunnel of our own."""

    def __init__(
        self, profile: NodeProfile, address: Address, secrets: LinkSecrets, config: Path | None = None
    ) -> None:
        """`config`: an ssh_config to use in place of the person's."""
        super().__init__(profile.name, str(address))
        self._profile = profile
        self._where = address
        self._secrets = secrets
        self._config = config
        self._far = profile.docker_socket or USUAL
        self._pinned: HostKey | None = None
        self._near = Path()
        self._looking = threading.Lock()
        self._verdict: Unreachable | None = None
        self._looked = 0.0
        self._heard = 0
        self._ports: list[Tunnel] = []
        self.tunnel = Tunnel(profile.name, self._command, self._why)

    def forget(self) -> None:
        """Also the wait after a tunnel that did not open."""
        super().forget()
        self.tunnel.again()

    def close(self) -> None:
        """The tunnel ends too."""
        super().close()
        self.tunnel.close()
        with self._looking:
            ports, self._ports = self._ports, []
        for tunnel in ports:
            tunnel.close()

    @property
    def forwards(self) -> bool:
        """By another tunnel."""
        return True

    def forward(self, port: int) -> Port | None:
        """A tunnel of its own to it, which is mended like the engine's."""
        tunnel = Tunnel(self.node, lambda folder: self._forwarding(folder, f"{HOST}:{port}"), self._why)
        try:
            tunnel.socket(FORWARD_S)
        except UserError:
            tunnel.close()
            raise
        with self._looking:
            self._ports.append(tunnel)
        name = f"port {port} of {self.node}"
        return Relay(name, lambda: SocketFar(str(tunnel.socket(FORWARD_S))), tunnel.close)

    def _prepare(self, seconds: float) -> None:
        self._near = self.tunnel.socket(seconds)

    def _revive(self) -> None:
        self.tunnel.settle()

    def _client(self, version: str) -> EngineClient:
        return EngineClient(f"unix://{self._near}", version=version)

    def _explain(self, error: BaseException, seconds: float) -> UserError:
        found = super()._explain(error, seconds)
        if found.code in ("node.no_answer", "node.not_docker"):
            return found
        words = self.tunnel.words(self._heard)
        if "administratively prohibited" in words:
            return self._why(words, seconds)
        if self.tunnel.pid is not None and "open failed" in words:
            return self._far_end()
        return Unreachable("node.broken", node=self.node, address=self.address, detail=_last(words))

    def _far_end(self) -> UserError:
        """Why the far socket does not open. Asked once in a while: it takes a login."""
        with self._looking:
            if self._verdict is None or time.monotonic() - self._looked > VERDICT_S:
                self._verdict = self._ask_there()
                self._looked, self._heard = time.monotonic(), self.tunnel.said
            return Unreachable.from_body(self._verdict.body())

    def _why(self, words: str, seconds: float) -> UserError:
        found = ssh_words.explain(words, self.node, self.address, seconds, self._where.user or "?")
        if found.code == "node.host_unknown":
            return host_keys.unknown(self.node, self._where, self._config)
        return found

    def _command(self, folder: LinkFolder) -> list[str]:
        return self._forwarding(folder, self._far)

    def _forwarding(self, folder: LinkFolder, far: str) -> list[str]:
        near = folder.path / "engine.sock"
        return [*self._ssh(folder), "-N", "-L", f"{near}:{far}", "--", self._where.host]

    def _ssh(self, folder: LinkFolder) -> list[str]:
        """ssh and its options, up to the host."""
        program = shutil.which("ssh")
        if program is None:
            raise Unreachable("node.ssh_missing", node=self.node)
        command = [program, *(["-F", str(self._config)] if self._config else [])]
        command += ["-p", str(self._where.port), *(["-l", self._where.user] if self._where.user else [])]
        for option in (*OPTIONS, *self._known(folder)):
            command += ["-o", option]
        if self._profile.key:
            command += ["-i", str(self._key(folder)), "-o", "IdentitiesOnly=yes"]
        return command

    def _key(self, folder: LinkFolder) -> Path:
        """The private key's file. One from the keyring lies in a file only until the tunnel is open."""
        if not self._profile.key.startswith("keyring:"):
            file_content(self.node, "key", self._profile.key)
            return expanded(self._profile.key)
        return folder.private("key", content_of(self.node, "key", self._profile.key, self._secrets))

    def _known(self, folder: LinkFolder) -> list[str]:
        """Which host keys are right: the profile's only, or those the person knows."""
        wanted = host_key(self._profile.host_key)
        if wanted is None:
            return []
        if not wanted.line and self._pinned is None:
            self._pinned = host_keys.of_fingerprint(self.node, self._where, wanted, self._config)
        pinned = self._pinned or wanted
        known = folder.private("known_hosts", f"{ALIAS} {pinned.line}\n" if pinned.line else "")
        return [f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null", f"HostKeyAlias={ALIAS}"]

    def _ask_there(self) -> Unreachable:
        """Why the far socket does not open: sshd does not tell, so somebody looks."""
        path = shlex.quote(self._far)
        question = (
            f"test -S {path} || exit {NO_SOCKET}; test -r {path} -a -w {path} || exit {NO_PERMISSION}; "
            # Who listens stands in that list: then it is sshd that forbids.
            f'grep -qs -e {path}"$" -e "$(readlink -f {path})$" /proc/net/unix && exit {FORBIDDEN}; exit {NOBODY}'
        )
        folder, code = LinkFolder(), 0
        try:
            command = [*self._ssh(folder), "-n", "--", self._where.host, question]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOOK_S, check=False)
            code = done.returncode
        except (UserError, OSError, subprocess.TimeoutExpired):
            pass  # then it stays open which of the three it is
        finally:
            folder.remove()
        params: dict[str, Any] = {"address": self.address, "socket": self._far, "user": self._where.user or "?"}
        codes = {
            NO_SOCKET: "socket_missing_there", NO_PERMISSION: "socket_denied_there", NOBODY: "stopped_there",
            FORBIDDEN: "no_forwarding",
        }  # fmt: skip
        return Unreachable(f"node.{codes.get(code, 'far_socket')}", node=self.node, **params)


def _last(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "The connection ended."
