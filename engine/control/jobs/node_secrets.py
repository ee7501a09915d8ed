"""Keys and certificates that a profile names as `keyring:NAME`: ours (`node/NODE/key`), or the user's own entries."""

from __future__ import annotations

from engine.contract.secrets import NODE_SECRET
from engine.control.executors.docker.keys import KeyringSecrets
from engine.control.jobs.secrets import SecretStore


class NodeSecrets:
    """What links ask for keys. Its method waits for a keyring: call it on a thread."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._keyring = KeyringSecrets()

    def get(self, reference: str) -> str | bytes:
        """The key or certificate of that name; empty where there is none."""
        if NODE_SECRET.fullmatch(reference) and (value := self._store.get(reference)):
            return value
        return self._keyring.get(reference)
