"""The Docker nodes of a chaos run: three real engines, one of them behind a real sshd and one with a small disk."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Any

from docker.errors import DockerException
from requests import RequestException

from engine.client.client import ControllerClient
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker import names
from tests.helpers.docker_bench import LIGHT
from tests.helpers.docker_engines import Engine, Engines, RemoteEngine, running_engines
from tests.helpers.docker_image import OtherPython, thin_image, thin_mounts
from tests.helpers.docker_network import Namespace
from tests.helpers.docker_process import CannotStart
from tests.helpers.docker_profiles import local_profile, ssh_profile
from tests.helpers.docker_ssh import SshServer
from tests.helpers.waiting import wait_until

ROOM = "700m"
"""Of the small disk; the worker image takes a quarter of it."""
MIRROR = {"here": 0.0, "far": 0.02, "tiny": 0.0}
"""Minutes between copies of checkpoints."""
HURT = (DockerException, RequestException, OSError)
"""What a client of an engine may meet while that is being ill-treated."""


class Nodes:
    """`here` at its socket, `far` through ssh over a network of its own, `tiny` whose disk can be filled."""

    def __init__(self, engines: Engines, small: Engine, network: Namespace, ssh: SshServer) -> None:
        self.remote: RemoteEngine = engines.remote
        self.small, self.network, self.ssh = small, network, ssh
        self.engines: dict[str, Engine] = {"here": engines.local, "far": engines.remote, "tiny": small}
        self.down: set[str] = set()
        """Nodes something was done to that is not undone yet; `way` is the way to the far one."""
        self.image = {thin_image(engine) for engine in self.engines.values()}.pop()

    @property
    def profiles(self) -> list[NodeProfile]:
        """As the controller is told of them."""
        far = ssh_profile(self.remote).model_copy(
            update={
                "address": f"{self.ssh.user}@{self.ssh.host}:{self.ssh.port}", "key": str(self.ssh.key),
                "host_key": self.ssh.known_hosts.read_text(),
            }
        )  # fmt: skip
        made = {"here": local_profile(self.engines["here"]), "far": far, "tiny": local_profile(self.small)}
        mounts = [*thin_mounts(), *LIGHT]
        return [
            profile.model_copy(
                update={"name": name, "image": self.image, "mounts": mounts, "max_runs": 8,
                        "mirror_minutes": MIRROR[name]}
            )
            for name, profile in made.items()
        ]  # fmt: skip

    def join(self, client: ControllerClient) -> None:
        """The controller uses them, if it does not yet."""
        known = {node.profile.name for node in client.nodes().nodes}
        for profile in self.profiles:
            if profile.name not in known:
                client.add_node(profile)

    def answering(self) -> list[str]:
        """Nodes whose daemon nobody has hurt."""
        return [name for name in self.engines if name not in self.down]

    def containers(self, name: str) -> list[dict[str, Any]]:
        """Containers of runs that live on a node, in an order that chance cannot change."""
        with contextlib.closing(self.engines[name].client(timeout=10)) as api:
            rows = api.containers(filters={"label": [f"{names.MANAGED}=1", names.ATTEMPT]})
        return sorted(rows, key=lambda row: row["Names"])


@contextlib.contextmanager
def running_nodes() -> Iterator[Nodes]:
    """All of them, and nothing of them afterwards; `CannotStart` says why they cannot be."""
    with contextlib.ExitStack() as ended:
        engines = ended.enter_context(running_engines(own_local=True))
        small = ended.enter_context(engines.small(ROOM))
        network = ended.enter_context(Namespace(engines.place).open())
        ssh = SshServer(engines.place.folder / f"ssh-{secrets.token_hex(2)}", network.address, network.inside)
        ended.callback(ssh.stop)
        ssh.start()
        try:
            yield Nodes(engines, small, network, ssh)
        except OtherPython as reason:
            raise CannotStart(str(reason)) from reason
        finally:
            for engine in (engines.local, engines.remote, small):
                engine.daemon.ensure()


def chosen() -> tuple[bool, bool | None]:
    """Process and docker as CHAOS_EXECUTORS has it; None: docker where an engine can start."""
    named = os.environ.get("CHAOS_EXECUTORS", "").replace(" ", "")
    if not named:
        return True, None
    parts = set(named.split(","))
    if unknown := parts - {"process", "docker"}:
        raise SystemExit(f"CHAOS_EXECUTORS={named}: {', '.join(sorted(unknown))} is neither docker nor process")
    return "process" in parts, "docker" in parts


def until_reachable(client: ControllerClient, timeout: float = 120) -> None:
    """All nodes answer."""
    wait_until(
        lambda: all(node.reach in ("reachable", "unused") for node in client.nodes().nodes), timeout, "all nodes answer"
    )
