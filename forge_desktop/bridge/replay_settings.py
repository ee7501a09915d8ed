"""The Settings page's part of a replay: settings, environments, secrets and a home in memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Literal

from engine.client.diagnostics import save
from engine.client.download import Cancelled
from engine.contract.api import Settings
from engine.contract.diagnostics import Bundle, BundleFile
from engine.contract.environments import (
    DISK_BYTES,
    DOWNLOAD_BYTES,
    NAME,
    Environment,
    Environments,
    MakeEnvironment,
    Progress,
)
from engine.contract.errors import NotFound, Refused, UserError
from engine.contract.secrets import SecretCheck, SecretInfo, SecretName, Secrets
from engine.contract.settings_check import problems_of
from engine.contract.storage import Storage
from engine.contract.stream import SettingsChanged, StreamMessage
from forge_desktop.bridge.backend_settings import MoveProgress, MoveWish, Moving

GB = 10**9
BUNDLE = Bundle(
    files=[
        BundleFile(name="versions.json", text='{\n "program": "0.1.0",\n "python": "3.11.9"\n}\n'),
        BundleFile(name="settings.json", text='{\n "idle_minutes": 10.0\n}\n'),
        BundleFile(name="logs/controller.log", text="12:00:01 INFO listening, home <data>\n" * 40),
        BundleFile(name="history.json", text='{\n "runs": 5\n}\n'),
        BundleFile(name="runs/run-1.txt", text="failed: out_of_memory\n"),
    ],
    replaced={"home": 12, "user": 3, "host": 1},
)


class ReplaySettings:
    """Keeps what it is told; a test changes the public fields."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Settings()
        """The controller's settings."""
        self.interpreters: list[Environment] = []
        """What `environments` answers."""
        self.known_secrets: dict[str, str] = {}
        self.good_secret = "hf_good"
        """What `check_secret` accepts."""
        self.stored = Storage(
            home="/home/ada/.local/share/LoRAForge",
            parts={"history": 48_000_000, "runs": 3 * GB, "library": GB, "environments": 2 * GB, "logs": 9_000_000},
            total=6 * GB + 57_000_000, free=212 * GB, counted=1.0,
        )  # fmt: skip
        self.fixed_home = ""
        self.left_home: Path | None = None
        self.move_error: UserError | None = None
        """What `move_home` fails with, once."""
        self.move_gate = threading.Event()
        self.move_gate.set()
        """Set: a move goes on."""
        self.moves: list[MoveWish] = []

    def _answer(self) -> None:
        raise NotImplementedError

    def _tell(self, message: StreamMessage) -> None:
        raise NotImplementedError

    def settings(self) -> Settings:
        """As the controller does."""
        self._answer()
        return self.kept

    def change_settings(self, changes: dict[str, Any]) -> Settings:
        """As the controller does."""
        self._answer()
        wanted = self.kept.model_dump() | changes
        problems = problems_of(wanted)
        if problems:
            raise Refused("settings.refused", problems=problems)
        self.kept = Settings.model_validate(wanted)
        for one in self.interpreters:
            one.in_use = one.python == self.kept.worker_python
        self._tell(SettingsChanged(settings=self.kept))
        return self.kept

    def environments(self, again: bool = False) -> Environments:
        """As the controller does."""
        self._answer()
        return Environments(
            environments=[one.model_copy(deep=True) for one in self.interpreters],
            free_bytes=212 * GB,
            download_bytes={**DOWNLOAD_BYTES},
            disk_bytes={**DISK_BYTES},
        )

    def make_environment(self, wish: MakeEnvironment) -> Environments:
        """One that is being made; a test moves it on."""
        self._answer()
        if not NAME.fullmatch(wish.name):
            raise Refused("worker.bad_name", name=wish.name)
        self.interpreters = [one for one in self.interpreters if one.name != wish.name]
        python = f"{self.stored.home}/environments/{wish.name}/bin/python"
        self.interpreters.append(
            Environment(name=wish.name, python=python, origin="made", state="making", build=wish.build,
                        progress=Progress(step="venv"), log="making the environment\n")
        )  # fmt: skip
        return self.environments()

    def end_environment(self, name: str, what: Literal["cancel", "delete"]) -> Environments:
        """As the controller does, at once."""
        self._answer()
        found = next((one for one in self.interpreters if one.name == name), None)
        if found is None:
            raise NotFound("environment.unknown", name=name)
        if what == "cancel":
            found.state = "cancelled"
        else:
            self.interpreters.remove(found)
        return self.environments()

    def secrets(self) -> Secrets:
        """As the controller does."""
        self._answer()
        names = list(dict.fromkeys(("huggingface", "modelscope", "proxy", *self.known_secrets)))
        return Secrets(
            secrets=[SecretInfo(name=n, is_set=n in self.known_secrets, place="keyring" if n in self.known_secrets
                                else "") for n in names]
        )  # fmt: skip

    def set_secret(self, name: str, value: str) -> Secrets:
        """Keep it."""
        self.known_secrets[name] = value
        return self.secrets()

    def delete_secret(self, name: str) -> Secrets:
        """Forget it."""
        self.known_secrets.pop(name, None)
        return self.secrets()

    def check_secret(self, name: SecretName) -> SecretCheck:
        """Whether it is the good one."""
        accepted = self.known_secrets.get(name) == self.good_secret
        return SecretCheck(accepted=accepted, account="ada" if accepted else "")

    def storage(self, again: bool = False) -> Storage:
        """As the controller does."""
        self._answer()
        return self.stored

    def why_fixed(self) -> str:
        """Whatever a test put there."""
        return self.fixed_home

    def move_home(self, wish: MoveWish, tell: Moving) -> Path:
        """Pretend; `move_gate` can hold it up."""
        error, self.move_error = self.move_error, None
        if error is not None:
            raise error
        self.moves.append(wish)
        try:
            for share in range(5):
                tell(MoveProgress("copying", share * GB, 4 * GB))
                while not self.move_gate.wait(0.02):
                    tell(MoveProgress("copying", share * GB, 4 * GB))
        except Cancelled:
            raise UserError("home.cancelled") from None
        self.left_home = Path(self.stored.home)
        self.stored = self.stored.model_copy(update={"home": str(wish.target)})
        return wish.target

    def old_home(self) -> Path | None:
        """The one left behind."""
        return self.left_home

    def delete_old_home(self, folder: Path) -> None:
        """Forget it."""
        self.left_home = None

    def diagnostics(self, hide_names: bool) -> Bundle:
        """A small one."""
        return BUNDLE

    def save_diagnostics(self, bundle: Bundle, file: Path) -> None:
        """Write it."""
        save(bundle, file)
