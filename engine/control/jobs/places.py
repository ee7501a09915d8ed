"""What a node's profile becomes in earnest: a Docker executor and its link. The SDK is imported only where one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.contract.api import Settings
from engine.contract.nodes import NodeFacts, NodeProfile
from engine.contract.paths import Home
from engine.control.executors.docker.link import Link
from engine.control.jobs.pool import Place
from engine.control.jobs.secrets import SecretStore


class Places:
    """Makes places; asks nobody by that."""

    def __init__(self, home: Home, secrets: SecretStore, settings: Callable[[], Settings]) -> None:
        self._home = home
        self._secrets = secrets
        self._settings = settings

    def __call__(self, profile: NodeProfile) -> Place:
        """The place of a profile; UserError where something it names is missing."""
        from engine.control.executors.docker.executor import DockerExecutor
        from engine.control.executors.docker.opening import open_link
        from engine.control.jobs.node_secrets import NodeSecrets

        link = open_link(profile, NodeSecrets(self._secrets))
        return Place(DockerExecutor(self._home, profile, link, self._settings), link, lambda: said_by(link))


def said_by(link: Link) -> NodeFacts:
    """What an engine says of itself."""
    said: dict[str, Any] = link.ask(lambda api: api.info())
    return NodeFacts(
        engine=str(said.get("ServerVersion") or ""),
        system=str(said.get("OperatingSystem") or ""),
        cpus=int(said.get("NCPU") or 0),
        memory=int(said.get("MemTotal") or 0),
        live_restore=bool(said.get("LiveRestoreEnabled")),
        engine_id=str(said.get("ID") or ""),
    )
