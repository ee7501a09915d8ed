"""Secrets a person gives to the controller: hub tokens and a proxy's password. Their values never come back."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

SecretName = Literal["huggingface", "modelscope", "proxy"]
"""Token of a hub; `user:password` of the proxy."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SecretInfo(_Body):
    """What may be known of a secret."""

    name: SecretName
    is_set: bool = False
    place: Literal["", "keyring", "file"] = ""
    """The system's keyring, or a file that only its owner can read where there is no keyring."""


class Secrets(_Body):
    """All secrets that can be set."""

    secrets: list[SecretInfo] = []


class SetSecret(_Body):
    """Keep a secret."""

    value: SecretStr = Field(min_length=1, max_length=4096)


class GivenSecrets(_Body):
    """What a worker is told, in a file that only its owner can read and that goes when it was read."""

    huggingface: SecretStr | None = None
    modelscope: SecretStr | None = None
    proxy: SecretStr | None = None

    def plain(self, name: str) -> str:
        """The value itself; empty where there is none. Never for a log, a journal or an answer."""
        found = getattr(self, name, None)
        return found.get_secret_value() if isinstance(found, SecretStr) else ""


class SecretCheck(_Body):
    """Whether the service takes it."""

    accepted: bool
    account: str = ""
    """Whose token it is, where the hub says so."""
