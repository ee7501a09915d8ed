"""What the Settings page asks of a controller and of this computer. Calls block, as all of a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from engine.client.move import MoveProgress
from engine.contract.api import Settings
from engine.contract.diagnostics import Bundle
from engine.contract.environments import Environments, MakeEnvironment
from engine.contract.secrets import SecretCheck, SecretName, Secrets
from engine.contract.storage import Storage

__all__ = ["MoveProgress", "MoveWish", "Moving", "SettingsBackend"]
Moving = Callable[[MoveProgress], None]


@dataclass(frozen=True)
class MoveWish:
    """Where to move the data, and what was agreed to."""

    target: Path
    pause_runs: bool = False
    network: bool = False


class SettingsBackend(Protocol):
    """The part of a backend that the Settings page uses."""

    def settings(self) -> Settings:
        """The controller's settings."""

    def change_settings(self, changes: dict[str, Any]) -> Settings:
        """Change some; all or none of them."""

    def environments(self, again: bool = False) -> Environments:
        """Worker environments."""

    def make_environment(self, wish: MakeEnvironment) -> Environments:
        """Begin to make one."""

    def end_environment(self, name: str, what: Literal["cancel", "delete"]) -> Environments:
        """Stop the making of one, or delete it."""

    def secrets(self) -> Secrets:
        """Which secrets are set."""

    def set_secret(self, name: str, value: str) -> Secrets:
        """Keep one."""

    def delete_secret(self, name: str) -> Secrets:
        """Forget one."""

    def check_secret(self, name: SecretName) -> SecretCheck:
        """Ask the service."""

    def storage(self, again: bool = False) -> Storage:
        """Where the data lies, and what it takes."""

    def why_fixed(self) -> str:
        """The variable that names the home, so that it cannot be moved; empty: it can."""

    def move_home(self, wish: MoveWish, tell: Moving) -> Path:
        """Move all data; the old folder stays until it is deleted."""

    def old_home(self) -> Path | None:
        """A folder whose data was moved away and that is still there."""

    def delete_old_home(self, folder: Path) -> None:
        """Delete it."""

    def diagnostics(self, hide_names: bool) -> Bundle:
        """Gather what a report needs."""

    def save_diagnostics(self, bundle: Bundle, file: Path) -> None:
        """Write it as a zip."""
