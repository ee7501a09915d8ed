"""The keys an attempt of an instance starts with: those of people, and the controller's own."""

from __future__ import annotations

import hashlib
import hmac

from engine.contract.serving import KEY_PREFIX, OWN_KEY, SCOPES, ServeKey, hash_of


def own_key(token: str, lease: str) -> str:
    """The controller's own key to an attempt: it needs to be kept nowhere."""
    return KEY_PREFIX + hmac.new(token.encode(), f"serve {lease}".encode(), hashlib.sha256).hexdigest()


def keys_of_start(token: str, lease: str, kept: list[ServeKey]) -> list[ServeKey]:
    """Who may ask an attempt that is to start."""
    about = ServeKey(id=OWN_KEY, hash=hash_of(own_key(token, lease)), name=OWN_KEY, tier=0, scopes=SCOPES,
                     requests_per_minute=0, tokens_per_minute=0)  # fmt: skip
    return [about, *kept]
