"""Names for runs, leases and commands that never repeat and sort by age."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(length)))


def new_id() -> str:
    """Sixteen characters: nine of milliseconds since the epoch, seven of chance (35 bits)."""
    return _base32(int(time.time() * 1000), 9) + _base32(secrets.randbits(35), 7)


def new_lease() -> str:
    """A fencing token: whoever does not hold it may no longer change the attempt."""
    return secrets.token_hex(16)
