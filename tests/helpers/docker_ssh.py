"""A real sshd on a loopback port, with keys, config and lists of its own: the way to "the remote node"."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.helpers.docker_process import Server, children_of, end_all, find_program, free_port

CONFIG = """
Port {port}
ListenAddress {host}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
MaxStartups 100:30:200
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""


class SshServer(Server):
    """sshd for one temporary folder; `key` logs in, `wrong_key` does not."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        """`inside` goes before its command: it may run in a network of its own, where it has another address."""
        folder.mkdir(parents=True)
        program = find_program("/usr/sbin/sshd")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it; empty, and left for others
        self.folder = folder
        self.host, self.port, self.user = host, free_port(), getpass.getuser()
        self.key, self.wrong_key = folder / "client_key", folder / "wrong_key"
        self.known_hosts, self.other_known_hosts = folder / "known_hosts", folder / "other_known_hosts"
        ours = _write_key(self.key)
        (folder / "authorized_keys").write_text(f"{ours} test\n")
        _write_key(self.wrong_key)
        self.change_host_key()
        other = _write_key(folder / "other_host_key")
        self.other_known_hosts.write_text(f"{self._place} {other}\n")
        config = folder / "sshd_config"
        config.write_text(CONFIG.format(host=host, port=self.port, folder=folder))
        command = [*inside, program, "-D", "-e", "-f", str(config)]
        super().__init__("sshd", command, folder / "sshd.log", self._greets)

    @property
    def _place(self) -> str:
        return f"[{self.host}]:{self.port}"

    def change_host_key(self) -> None:
        """A new host key, as after a new installation, and `known_hosts` for it; needs a restart to count."""
        self.host_key = _write_key(self.folder / "host_key")
        self.known_hosts.write_text(f"{self._place} {self.host_key}\n")

    def cut(self) -> None:
        """End every session and tunnel at once; the server goes on to take new ones."""
        end_all(children_of(self.pid))

    def kill(self) -> None:
        """SIGKILL to the server and to its sessions, as when the machine goes."""
        sessions = children_of(self.pid)
        super().kill()
        end_all(sessions)

    def stop(self, timeout: float = 30) -> None:
        """End it, and the sessions it would leave."""
        sessions = children_of(self.pid)
        super().stop(timeout)
        end_all(sessions)

    def options(self) -> list[str]:
        """What `ssh` needs to reach it: key, known host, no questions and nothing of the person's own config."""
        return [
            "-F", "none", "-i", str(self.key), "-p", str(self.port),
            "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={self.known_hosts}",
            "-o", "GlobalKnownHostsFile=none",
        ]  # fmt: skip

    def tunnel(self, here: Path, there: Path) -> Server:
        """An `ssh -L` from one socket's path to the one over there; not started yet."""
        command = ["ssh", *self.options(), "-o", "ExitOnForwardFailure=yes", "-N", "-L", f"{here}:{there}"]
        return Server("ssh", [*command, f"{self.user}@{self.host}"], here.with_name("ssh.log"), here.exists)

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 2) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


def _write_key(path: Path) -> str:
    """A new key without a passphrase; its public line."""
    key = ed25519.Ed25519PrivateKey.generate()
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    openssh = serialization.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, openssh, serialization.NoEncryption()))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    path.with_name(f"{path.name}.pub").write_text(f"{public} test\n")
    return public
