"""Who asks: keys compared by their hashes, always all of them and in constant time."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterable

from engine.compute.serving.audit import DOTS
from engine.contract.errors import UserError
from engine.contract.serving import OWN_KEY, SCOPES, Scope, ServeKey, hash_of

MOST_KEY = 512
"""Characters of a key; a longer one is none."""
WORD = re.compile(r"[!-.0->@-~]{16,200}")
"""What may be a key, between slashes and question marks."""
NOBODY = ServeKey(id="open", hash="0" * 64, scopes=SCOPES)
"""Who asks an open instance without a key."""


class Keyring:
    """The keys that are valid now; they may be changed while requests are answered."""

    def __init__(
        self, keys: Iterable[ServeKey], own_key: str = "", without: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._own = ServeKey(id=OWN_KEY, hash=hash_of(own_key), tier=0, scopes=SCOPES,
                             requests_per_minute=0, tokens_per_minute=0) if own_key else None  # fmt: skip
        self._without, self._clock = without, clock
        self._keys: tuple[ServeKey, ...] = ()
        self.set(keys)

    def set(self, keys: Iterable[ServeKey]) -> None:
        """From the next request on these, and the controller's own."""
        self._keys = (*keys, *([self._own] if self._own is not None else []))

    def asking(self, authorization: str | None) -> ServeKey:
        """Whose request it is; raises where nobody's."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if not key or scheme.lower() != "bearer":
            if self._without:
                return NOBODY
            raise UserError("serve.no_key")
        wanted, found = hash_of(key[:MOST_KEY]), None
        for one in self._keys:
            if hmac.compare_digest(one.hash, wanted):
                found = one
        known = found is not None and len(key) <= MOST_KEY
        if found is not None and known and found.valid(self._clock()):
            return found
        if self._without:
            return NOBODY
        if found is None or not known:
            raise UserError("serve.bad_key")
        raise UserError("serve.key_over", key=found.hint or found.id)

    def without(self, text: str) -> str:
        """The text without keys of this instance among its words: people's own look like anything."""
        return WORD.sub(lambda found: DOTS if self._is_one(found[0]) else found[0], text)

    def _is_one(self, word: str) -> bool:
        hashed = hash_of(word)
        return any(hmac.compare_digest(one.hash, hashed) for one in self._keys)


def check_scope(key: ServeKey, *scopes: Scope) -> None:
    """Refuse who may not do this; one of the scopes is enough."""
    if scopes and not set(scopes) & set(key.scopes):
        raise UserError("serve.scope", scope=" or ".join(scopes), has=", ".join(key.scopes) or "none")
