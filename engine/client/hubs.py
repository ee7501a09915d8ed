"""What is asked about hubs: secrets, and the models in the cache."""

from __future__ import annotations

from urllib.parse import quote

from pydantic import BaseModel

from engine.client.calls import SLOW_S, Calls
from engine.contract.model_cache import CachedModels
from engine.contract.secrets import SecretCheck, SecretInfo, Secrets


class _Value(BaseModel):
    """`SetSecret` on its way: there the value shows itself, for once."""

    value: str


class HubCalls(Calls):
    """A part of `ControllerClient`."""

    def secrets(self) -> Secrets:
        """Which secrets are set."""
        return self._get("/secrets", Secrets)

    def set_secret(self, name: str, value: str) -> SecretInfo:
        """Keep one; it never comes back."""
        answer = self._send("PUT", f"/secrets/{quote(name, safe='')}", body=_Value(value=value))
        return self._read(answer, SecretInfo)

    def delete_secret(self, name: str) -> SecretInfo:
        """Forget one."""
        return self._read(self._send("DELETE", f"/secrets/{quote(name, safe='')}"), SecretInfo)

    def check_secret(self, name: str) -> SecretCheck:
        """Ask the service whether it takes one; may take as long as the network does."""
        answer = self._send("POST", f"/secrets/{quote(name, safe='')}/check", timeout=SLOW_S)
        return self._read(answer, SecretCheck)

    def cached_models(self) -> CachedModels:
        """What lies in the cache of models."""
        return self._get("/models/cache", CachedModels)

    def remove_model(self, hub: str, path: str, commit: str | None = None) -> CachedModels:
        """Remove a model from the cache; the answer is what went."""
        query = {"hub": hub, "path": path, **({"commit": commit} if commit else {})}
        return self._read(self._send("DELETE", "/models/cache", query=query), CachedModels)
