"""Secrets a person gives to the controller: hub tokens, a proxy's password, keys of nodes. They never come back."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

SecretName = Literal["huggingface", "modelscope", "proxy"]
"""Token of a hub; `user:password` of the proxy."""
TRACKER_SECRETS = ("wandb", "swanlab", "mlflow")
"""Keys of trackers, told to the workers of runs that use them."""
NODE_SECRET = re.compile(r"node/[A-Za-z0-9][\w.-]{0,59}/(key|certificate|ca)")
"""Key or certificate of a node, named in its profile as `keyring:node/NAME/key`."""

ALERT_SECRET = "alerts"
"""Addresses that alerts are sent to (apprise), one a line; they hold passwords and tokens."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SecretInfo(_Body):
    """What may be known of a secret."""

    name: str
    """A `SecretName`, or one of a node."""
    is_set: bool = False
    place: Literal["", "keyring", "file"] = ""
    """The system's keyring, or a file that only its owner can read where there is no keyring."""


class Secrets(_Body):
    """All secrets that can be set, and those of nodes that are."""

    secrets: list[SecretInfo] = []


class SetSecret(_Body):
    """Keep a secret."""

    value: SecretStr = Field(min_length=1, max_length=65_536)


class GivenSecrets(_Body):
    """What a worker is told, in a file that only its owner can read and that goes when it was read."""

    huggingface: SecretStr | None = None
    modelscope: SecretStr | None = None
    proxy: SecretStr | None = None
    wandb: SecretStr | None = None
    swanlab: SecretStr | None = None
    mlflow: SecretStr | None = None

    def plain(self, name: str) -> str:
        """The value itself; empty where there is none. Never for a log, a journal or an answer."""
        found = getattr(self, name, None)
        return found.get_secret_value() if isinstance(found, SecretStr) else ""


class SecretCheck(_Body):
    """Whether the service takes it."""

    accepted: bool
    account: str = ""
    """Whose token it is, where the hub says so."""
