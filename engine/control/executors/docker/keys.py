"""Keys and certificates that a profile names: a file's path, or an entry of the keyring."""

from __future__ import annotations

from engine.contract import logs
from engine.contract.errors import Unreachable
from engine.contract.node_address import keyring_name
from engine.contract.paths import expanded
from engine.control.executors.docker.link import LinkSecrets

SERVICE = "LoRAForge"
LARGEST = 256 * 1024
"""No key or certificate is larger."""


class KeyringSecrets:
    """Entries of the system's keyring: `keyring set LoRAForge NAME` makes one."""

    def get(self, reference: str) -> str | bytes:
        """The entry of that name; empty where there is none, or no keyring."""
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(SERVICE, reference) or ""
        except KeyringError:
            return ""


def content_of(node: str, setting: str, reference: str, secrets: LinkSecrets) -> bytes:
    """What the setting (`key`, `certificate`, `ca`) of a node names. Waits for disks and keyrings."""
    name = keyring_name(reference)
    if name is None:
        return file_content(node, setting, reference)
    found = secrets.get(name)
    raw = found.encode() if isinstance(found, str) else found
    if not raw.strip():
        raise Unreachable("node.secret_missing", node=node, setting=setting, name=name, service=SERVICE)
    if setting == "key":
        logs.hide(raw.decode(errors="replace"))
    # Keyrings and their editors drop the last line's end, without which ssh reads no key.
    return raw if raw.endswith(b"\n") else raw + b"\n"


def file_content(node: str, setting: str, path: str) -> bytes:
    """A file of this computer that holds a key or certificate."""
    file = expanded(path)
    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST)
    except FileNotFoundError:
        raise Unreachable("node.file_missing", node=node, setting=setting, file=str(file)) from None
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise Unreachable("node.file_unreadable", node=node, setting=setting, file=str(file), detail=detail) from None
