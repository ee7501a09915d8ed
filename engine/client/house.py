"""Asking the controller about worker environments, secrets and what the data takes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from engine.client.client import ControllerClient
from engine.contract.api import Settings
from engine.contract.environments import Environments, MakeEnvironment
from engine.contract.ids import new_id
from engine.contract.secrets import SecretCheck, SecretName, Secrets
from engine.contract.storage import Storage

SLOW_S = 60.0
"""For what the controller asks of a service, or counts on a disk, before it answers."""


class _Value(BaseModel):
    """A secret on its way; the contract's own model hides what it holds."""

    value: str


class _Changes(BaseModel):
    model_config = {"extra": "allow"}


def change_settings(client: ControllerClient, changes: dict[str, Any]) -> Settings:
    """Change settings by name; the controller says everything that is wrong with them."""
    body = _Changes(**changes)
    return client._read(client._send("PATCH", "/settings", body=body, key=new_id()), Settings)


def environments(client: ControllerClient, again: bool = False) -> Environments:
    """The worker environments; `again` has each interpreter asked anew."""
    return client._get("/environments", Environments, {"again": again})


def make_environment(client: ControllerClient, wish: MakeEnvironment) -> Environments:
    """Begin to make one, or go on with one."""
    return client._read(client._send("POST", "/environments", body=wish, key=new_id()), Environments)


def end_environment(client: ControllerClient, name: str, what: Literal["cancel", "delete"]) -> Environments:
    """Stop the making of one, or delete it."""
    path = f"/environments/{name}/cancel" if what == "cancel" else f"/environments/{name}"
    method = "POST" if what == "cancel" else "DELETE"
    return client._read(client._send(method, path, key=new_id(), timeout=SLOW_S), Environments)


def storage(client: ControllerClient, again: bool = False) -> Storage:
    """Where the data lies and what it takes."""
    return client._read(client._send("GET", "/storage", query={"again": again}, timeout=SLOW_S), Storage)


def secrets(client: ControllerClient) -> Secrets:
    """Which secrets are set."""
    return client._get("/secrets", Secrets)


def set_secret(client: ControllerClient, name: SecretName, value: str) -> None:
    """Keep a secret; it is never told again."""
    client._send("PUT", f"/secrets/{name}", body=_Value(value=value), timeout=SLOW_S)


def delete_secret(client: ControllerClient, name: SecretName) -> None:
    """Forget a secret."""
    client._send("DELETE", f"/secrets/{name}", timeout=SLOW_S)


def check_secret(client: ControllerClient, name: SecretName) -> SecretCheck:
    """Ask the service whether it takes the secret."""
    return client._read(client._send("POST", f"/secrets/{name}/check", timeout=SLOW_S), SecretCheck)
