"""Asking the controller about worker environments and what the data takes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from engine.client.calls import SLOW_S, Calls
from engine.contract.api import Settings
from engine.contract.artifact_place import ArtifactsState
from engine.contract.environments import Environments, MakeEnvironment
from engine.contract.ids import new_id
from engine.contract.storage import Storage


class _Changes(BaseModel):
    model_config = {"extra": "allow"}


class HouseCalls(Calls):
    """A part of `ControllerClient`."""

    def edit_settings(self, changes: dict[str, Any]) -> Settings:
        """Change settings by name; the controller says everything that is wrong with them."""
        body = _Changes(**changes)
        return self._read(self._send("PATCH", "/settings", body=body, key=new_id()), Settings)

    def environments(self, again: bool = False) -> Environments:
        """The worker environments; `again` has each interpreter asked anew."""
        return self._get("/environments", Environments, {"again": again})

    def make_environment(self, wish: MakeEnvironment) -> Environments:
        """Begin to make one, or go on with one."""
        return self._read(self._send("POST", "/environments", body=wish, key=new_id()), Environments)

    def end_environment(self, name: str, what: Literal["cancel", "delete"]) -> Environments:
        """Stop the making of one, or delete it."""
        path = f"/environments/{name}/cancel" if what == "cancel" else f"/environments/{name}"
        method = "POST" if what == "cancel" else "DELETE"
        return self._read(self._send(method, path, key=new_id(), timeout=SLOW_S), Environments)

    def storage(self, again: bool = False) -> Storage:
        """Where the data lies and what it takes."""
        return self._read(self._send("GET", "/storage", query={"again": again}, timeout=SLOW_S), Storage)

    def artifacts(self, check: bool = False) -> ArtifactsState:
        """Whether what runs made lies at the place the settings name; `check` tries it with a small file."""
        return self._read(self._send("GET", "/artifacts", query={"check": check}, timeout=SLOW_S), ArtifactsState)
