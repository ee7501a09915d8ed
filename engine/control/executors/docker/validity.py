"""Until when a certificate of ours is valid: servers refuse an expired one without a reason that could be believed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_FORMS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
_VERSION = 0xA0


def valid_until(pem: str) -> float | None:
    """The end of the first certificate's validity, in seconds since the epoch; None where it cannot be read."""
    try:
        inner = pem[pem.index(_BEGIN) : pem.index(_END) + len(_END)]
        return _end(ssl.PEM_cert_to_DER_cert(inner))
    except (ValueError, IndexError, KeyError):
        return None


def _end(der: bytes) -> float:
    """Certificate → what is signed → [version] serial algorithm issuer *validity* …, by RFC 5280."""
    _tag, at, _after = _element(der, 0)
    _tag, at, _after = _element(der, at)
    if der[at] == _VERSION:
        at = _element(der, at)[2]
    for _ in ("serial", "algorithm", "issuer"):
        at = _element(der, at)[2]
    _tag, begins, _after = _element(der, at)
    tag, start, after = _element(der, _element(der, begins)[2])
    moment = datetime.strptime(der[start:after].decode("ascii"), _FORMS[tag])
    return moment.replace(tzinfo=UTC).timestamp()


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where its content starts, and what comes after."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    return tag, start, start + length
