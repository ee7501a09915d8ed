"""The Settings page's part of the real controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from engine.client import diagnostics, house, move
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
        return house.change_settings(self._client, changes)

    def environments(self, again: bool = False) -> Environments:
        """Worker environments."""
        return house.environments(self._client, again)

    def make_environment(self, wish: MakeEnvironment) -> Environments:
        """Begin to make one."""
        return house.make_environment(self._client, wish)

    def end_environment(self, name: str, what: Literal["cancel", "delete"]) -> Environments:
        """Stop the making of one, or delete it."""
        return house.end_environment(self._client, name, what)

    def secrets(self) -> Secrets:
        """Which secrets are set."""
        return house.secrets(self._client)

    def set_secret(self, name: SecretName, value: str) -> Secrets:
        """Keep one."""
        house.set_secret(self._client, name, value)
        return self.secrets()

    def delete_secret(self, name: SecretName) -> Secrets:
        """Forget one."""
        house.delete_secret(self._client, name)
        return self.secrets()

    def check_secret(self, name: SecretName) -> SecretCheck:
        """Ask the service."""
        return house.check_secret(self._client, name)

    def storage(self, again: bool = False) -> Storage:
        """Where the data lies, and what it takes."""
        return house.storage(self._client, again)

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
