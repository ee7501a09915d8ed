"""The way to the Docker engine of this computer: its socket."""

from __future__ import annotations

import os
from pathlib import Path

from engine.control.executors.docker.client import EngineClient
from engine.control.executors.docker.engine_link import EngineLink
from engine.control.executors.docker.ports import DirectPort, Port

USUAL = "/var/run/docker.sock"


class LocalLink(EngineLink):
    """An engine's socket on this computer."""

    def __init__(self, node: str, path: str = "") -> None:
        super().__init__(node, path or usual_socket())

    def _client(self, version: str) -> EngineClient:
        return EngineClient(f"unix://{self.address}", version=version)

    @property
    def forwards(self) -> bool:
        """Its 127.0.0.1 is ours."""
        return True

    def forward(self, port: int) -> Port | None:
        """As it is."""
        return DirectPort(port)


def usual_socket() -> str:
    """The system's socket; a rootless engine's own where there is only that."""
    rootless = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")) / "docker.sock"
    return str(rootless) if not Path(USUAL).exists() and rootless.exists() else USUAL
