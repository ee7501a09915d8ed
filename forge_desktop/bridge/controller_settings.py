"""The Settings page's part of the real controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from engine.client import diagnostics, move
from engine.client.client import ControllerClient
from engine.contract.api import Settings
from engine.contract.diagnostics import Bundle
from engine.contract.environments import Environments, MakeEnvironment
from engine.contract.paths import Home, usual_home
from engine.contract.secrets import SecretCheck, SecretName, Secrets
from engine.contract.storage import Storage
from forge_desktop.bridge.backend_settings import MoveWish, Moving


class ControllerSettings:
    """Passes the questions of the Settings page on."""

    _home: Home
    _client: ControllerClient
    _moving = False

    def settings(self) -> Settings:
        """The controller's settings."""
        return self._client.settings()

    def change_settings(self, changes: dict[str, Any]) -> Settings:
        """Change some."""
        return self._client.edit_settings(changes)

    def environments(self, again: bool = False) -> Environments:
        """Worker environments."""
        return self._client.environments(again)

    def make_environment(self, wish: MakeEnvironment) -> Environments:
        """Begin to make one."""
        return self._client.make_environment(wish)

    def end_environment(self, name: str, what: Literal["cancel", "delete"]) -> Environments:
        """Stop the making of one, or delete it."""
        return self._client.end_environment(name, what)

    def secrets(self) -> Secrets:
        """Which secrets are set."""
        return self._client.secrets()

    def set_secret(self, name: str, value: str) -> Secrets:
        """Keep one."""
        self._client.set_secret(name, value)
        return self.secrets()

    def delete_secret(self, name: str) -> Secrets:
        """Forget one."""
        self._client.delete_secret(name)
        return self.secrets()

    def check_secret(self, name: SecretName) -> SecretCheck:
        """Ask the service."""
        return self._client.check_secret(name)

    def storage(self, again: bool = False) -> Storage:
        """Where the data lies, and what it takes."""
        return self._client.storage(again)

    def diagnostics(self, hide_names: bool) -> Bundle:
        """Gather what a report needs."""
        return diagnostics.gather(self._home, hide_names)

    def save_diagnostics(self, bundle: Bundle, file: Path) -> None:
        """Write it as a zip."""
        diagnostics.save(bundle, file)

    def why_fixed(self) -> str:
        """The variable that names the home; empty: it can be moved."""
        return move.why_fixed()

    def move_home(self, wish: MoveWish, tell: Moving) -> Path:
        """Move all data; this backend goes on with the new home."""
        self._moving = True  # nobody starts the controller again meanwhile
        try:
            home = move.move(self._home, wish.target, tell, wish.pause_runs, wish.network)
            self._home = home
            self._client.follow(home)
        finally:
            self._moving = False
        return home.root

    def old_home(self) -> Path | None:
        """A folder whose data was moved away and that is still there."""
        return move.left_homes(self._home, usual_home())

    def delete_old_home(self, folder: Path) -> None:
        """Delete it."""
        move.delete_left(self._home, folder)
