"""How the ways to a node are written: addresses, host keys, references to keys. Whoever reads one asks here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
from dataclasses import dataclass

SSH_PORT = 22
TLS_PORT = 2376
KEYRING = "keyring:"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_REFERENCE = re.compile(r"[\w][\w .@/-]{0,119}")
_FINGERPRINT = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?")
_SOCKET = re.compile(r"/[\w./@+-]{1,99}")
_KEY_TYPES = re.compile(r"(?:sk-)?(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d{3})(?:@openssh\.com)?")


@dataclass(frozen=True)
class Address:
    """Where a node listens."""

    host: str
    port: int
    user: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}" if self.user else f"{host}:{self.port}"


@dataclass(frozen=True)
class HostKey:
    """A server's public key, or only its fingerprint (`SHA256:…`)."""

    fingerprint: str
    kind: str = ""
    key: str = ""

    @property
    def line(self) -> str:
        """As it stands in a known_hosts file after the names; empty where only the fingerprint is known."""
        return f"{self.kind} {self.key}" if self.key else ""


def ssh_address(text: str) -> Address | None:
    """`[user@]host[:port]`, or None where it is not of that form. Nothing in it can be taken for an option."""
    user, at, rest = text.strip().rpartition("@")
    if at and not _USER.fullmatch(user):
        return None
    found = _host_and_port(rest, SSH_PORT)
    return Address(found[0], found[1], user) if found else None


def tls_address(text: str) -> Address | None:
    """`host[:port]`, or None where it is not of that form."""
    found = _host_and_port(text.strip(), TLS_PORT)
    return Address(*found) if found else None


def _host_and_port(text: str, usual: int) -> tuple[str, int] | None:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or not _is_ipv6(host):
            return None
        port = rest[1:] if rest else str(usual)
    else:
        host, colon, port = text.partition(":")
        if not _HOST.fullmatch(host):
            return None
        port = port if colon else str(usual)
    return (host, int(port)) if _is_port(port) else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).version == 6 and text.isprintable() and " " not in text
    except ValueError:
        return False


def socket_path(text: str) -> str | None:
    """An absolute path without anything that a shell or ssh would read as more than a path."""
    path = text.strip()
    return path if _SOCKET.fullmatch(path) and ".." not in path.split("/") else None


def keyring_name(reference: str) -> str | None:
    """NAME of `keyring:NAME`; None where it is a file's path."""
    return reference[len(KEYRING) :] if reference.startswith(KEYRING) else None


def is_keyring_name(name: str) -> bool:
    """Whether a keyring entry may be called so."""
    return bool(_REFERENCE.fullmatch(name))


def host_key(text: str) -> HostKey | None:
    """A known_hosts line (names in front and a comment behind are ignored), a bare public key, or a fingerprint."""
    words = text.split()
    if len(words) == 1 and (match := _FINGERPRINT.fullmatch(words[0])):
        return HostKey(f"SHA256:{match[1]}")
    for place, word in enumerate(words[:2]):
        if _KEY_TYPES.fullmatch(word) and len(words) > place + 1:
            return _whole_key(word, words[place + 1])
    return None


def _whole_key(kind: str, key: str) -> HostKey | None:
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return None
    named = raw[4 : 4 + int.from_bytes(raw[:4], "big")] if len(raw) > 4 else b""
    return HostKey(fingerprint(raw), kind, key) if named == kind.encode() else None


def fingerprint(raw: bytes) -> str:
    """As ssh shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
