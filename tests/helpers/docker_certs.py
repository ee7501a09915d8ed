"""A private certificate authority for tests, and every wrong certificate a person can have."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """What a TLS node and its clients need, right and wrong."""

    ca: Path
    server: Pair
    client: Pair
    foreign_ca: Path
    foreign_client: Pair
    """Signed by the foreign authority: the server refuses it."""
    expired_server: Pair
    mismatched_server: Pair
    """Right authority, but for another host's name."""
    foreign_server: Pair
    """Right host, signed by the foreign authority."""
    expired_client: Pair

    def servers(self) -> dict[str, Pair]:
        """What a server may present, by name."""
        return {
            "right": self.server,
            "expired": self.expired_server,
            "mismatched": self.mismatched_server,
            "foreign": self.foreign_server,
        }


def make_certificates(folder: Path) -> Certificates:
    """Make all of them in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = _Authority(folder, "ca"), _Authority(folder, "foreign-ca")
    past = (-30, -1)
    return Certificates(
        ca=ours.pair.cert,
        server=ours.sign("server", HOSTS, server=True),
        client=ours.sign("client", (), server=False),
        foreign_ca=theirs.pair.cert,
        foreign_client=theirs.sign("foreign-client", (), server=False),
        expired_server=ours.sign("expired-server", HOSTS, server=True, days=past),
        mismatched_server=ours.sign("mismatched-server", ("gpu-box.example", "192.0.2.7"), server=True),
        foreign_server=theirs.sign("foreign-server", HOSTS, server=True),
        expired_client=ours.sign("expired-client", (), server=False, days=past),
    )


class _Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"LoRAForge test {name}")])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = _begin(self._name, self._name, self._key.public_key(), (-40, 365))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        self.pair = _write(folder, name, builder.sign(self._key, hashes.SHA256()), self._key)

    def sign(self, name: str, hosts: tuple[str, ...], server: bool, days: tuple[int, int] = (-1, 365)) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0] if hosts else name)])
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _begin(subject, self._name, key.public_key(), days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), False)
        return _write(self._folder, name, builder.sign(self._key, hashes.SHA256()), key)


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(folder: Path, name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    pair.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return pair
