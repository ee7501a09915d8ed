"""What is asked about hubs: secrets, and the models in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from engine.contract.model_cache import CachedModels
from engine.contract.secrets import SecretCheck, SecretInfo, Secrets


class _Value(BaseModel):
    """`SetSecret` on its way: there the value shows itself, for once."""

    value: str


class HubRequests:
    """A part of `ControllerClient`."""

    def secrets(self) -> Secrets:
        """Which secrets are set."""
        return Secrets.model_validate_json(self._send("GET", "/secrets").content)

    def set_secret(self, name: str, value: str) -> SecretInfo:
        """Keep one; it never comes back."""
        answer = self._send("PUT", f"/secrets/{quote(name, safe='')}", body=_Value(value=value))
        return SecretInfo.model_validate_json(answer.content)

    def delete_secret(self, name: str) -> SecretInfo:
        """Forget one."""
        return SecretInfo.model_validate_json(self._send("DELETE", f"/secrets/{quote(name, safe='')}").content)

    def check_secret(self, name: str) -> SecretCheck:
        """Ask the service whether it takes one; may take as long as the network does."""
        answer = self._send("POST", f"/secrets/{quote(name, safe='')}/check", timeout=60)
        return SecretCheck.model_validate_json(answer.content)

    def cached_models(self) -> CachedModels:
        """What lies in the cache of models."""
        return CachedModels.model_validate_json(self._send("GET", "/models/cache").content)

    def remove_model(self, hub: str, path: str, commit: str | None = None) -> CachedModels:
        """Remove a model from the cache; the answer is what went."""
        query = {"hub": hub, "path": path, **({"commit": commit} if commit else {})}
        return CachedModels.model_validate_json(self._send("DELETE", "/models/cache", query=query).content)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        key: str | None = None,
        sent_only: bool = False,
        timeout: float | None = None,
    ) -> httpx.Response:
        raise NotImplementedError
