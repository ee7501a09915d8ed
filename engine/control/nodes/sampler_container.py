"""Readings of a node with Docker: one small container there says how it is, and is asked for its latest line.

It is asked with a short question each time and not followed as a stream: a stream ends cleanly when the engine dies,
and holds a thread and a connection for each node; a question has a time-out, and its answer is never older than it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import docker
from docker.errors import APIError, NotFound

from engine.contract.errors import UserError
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker import names
from engine.control.executors.docker.link import Link
from engine.control.nodes.sampler import Reading

KIND = "probe"
MODULE = "engine.compute.worker.sampler"
START_S = 120.0
CLOSE_S = 5.0
DOUBT_S, SILENT_S = 8.0, 60.0
"""Without a new line for so long: whether it runs at all is asked; it is made anew though it runs."""
MEMORY = 256 << 20
READINGS = 720
"""It ends by itself after an hour, and is made anew: one whose controller never came back leaves nothing behind."""


class ContainerSampler:
    """Keeps one container; makes it anew when it died or fell silent."""

    def __init__(
        self,
        link: Link,
        profile: NodeProfile,
        image: Callable[[], str],
        controller: str,
        session: str = names.PROCESS,
    ) -> None:
        self._link = link
        self._profile = profile
        self._image = image
        self._controller = controller
        self._session = session
        self._name = container_name(controller, profile.name)
        self._box = ""
        self._doubted = ""
        """One that seemed to have died, and perhaps has not."""
        self._gpus = False
        self._last = 0.0
        self._heard = 0.0
        self._closed = False
        self._lock = threading.Lock()

    def read(self, gpus: bool) -> Reading | None:
        """Its newest line; None while there is none that is new."""
        with self._lock:
            return None if self._closed else self._read(gpus)

    def _read(self, gpus: bool) -> Reading | None:
        if not self._box or gpus != self._gpus:
            self._start(gpus)
        try:
            text = self._link.ask(lambda api: api.logs(self._box, stdout=True, stderr=False, tail=1))
        except (NotFound, APIError):
            self._ended()
            return None
        found = parsed(text)
        if found is None or found[0] == self._last:
            self._doubt(time.monotonic() - self._heard)
            return None
        self._last, self._heard = found[0], time.monotonic()
        return found[1]

    def close(self) -> None:
        """Remove it, and what a killed controller left here, if the node answers soon; else it ends by itself later."""
        self._closed = True
        if self._lock.acquire(timeout=CLOSE_S):  # else a start is under way, which heeds `_closed`
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        ours, self._box, self._doubted = {self._box, self._doubted} - {""}, "", ""

        def remove(api: docker.APIClient) -> None:
            for box in ours:  # by its id: another sampler of this node may have the name by now
                _remove(api, box)
            with contextlib.suppress(NotFound):
                named = api.inspect_container(self._name)
                if named["Config"]["Labels"].get(names.SESSION) != self._session:
                    _remove(api, named["Id"])

        with contextlib.suppress(UserError, APIError, OSError):
            self._link.ask(remove, CLOSE_S)

    def _doubt(self, silence: float) -> None:
        """It said nothing new: perhaps it died."""
        if silence < DOUBT_S:
            return
        try:
            state = self._link.ask(lambda api: api.inspect_container(self._box))["State"]
        except (NotFound, APIError):
            state = {}
        if not state.get("Running") or silence > SILENT_S:
            self._ended()

    def _ended(self) -> None:
        """Made anew at the next question; one that never said anything is not, too soon: whoever asks may wait."""
        self._doubted, self._box = self._box, ""
        if not self._last:
            raise UserError("node.no_readings", node=self._profile.name)

    def _start(self, gpus: bool) -> None:
        def make(api: docker.APIClient) -> str:
            _remove(api, self._name)
            made = api.create_container(
                self._profile.image or self._image(), _command(), name=self._name, user=str(names.USER),
                labels=self._labels(), entrypoint=[],
                environment=_environment(gpus), host_config=_options(api, self._profile, gpus), working_dir="/tmp",
            )  # fmt: skip
            api.start(made["Id"])
            return str(made["Id"])

        self._box = self._link.ask(make, START_S)
        self._doubted = ""
        self._gpus, self._last, self._heard = gpus, 0.0, time.monotonic()
        if self._closed:
            self._end()

    def _labels(self) -> dict[str, str]:
        return {
            names.MANAGED: "1", names.CONTROLLER: self._controller, names.KIND: KIND, names.SESSION: self._session,
        }  # fmt: skip


def container_name(controller: str, node: str) -> str:
    """One controller has one such container a node; two nodes may be the same engine."""
    return f"forge-sampler-{controller}-{hashlib.sha256(node.encode()).hexdigest()[:8]}"


def parsed(text: bytes | str) -> tuple[float, Reading] | None:
    """Time and content of a line; None for anything else."""
    plain = text.decode(errors="replace") if isinstance(text, bytes) else text
    try:
        line = json.loads(plain.strip().splitlines()[-1])
        values = {str(key): float(value) for key, value in line["values"].items()}
        return float(line["t"]), Reading(values, {str(key): str(name) for key, name in line["names"].items()})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _command() -> list[str]:
    return ["python", "-m", MODULE, "--count", str(READINGS)]


def _environment(gpus: bool) -> dict[str, str]:
    driver = {"NVIDIA_DRIVER_CAPABILITIES": "utility"} if gpus else {"NVIDIA_VISIBLE_DEVICES": "void"}
    return {"HOME": "/tmp", "PYTHONUNBUFFERED": "1", **driver}


def _options(api: docker.APIClient, profile: NodeProfile, gpus: bool) -> Any:
    mounts = []
    for entry in profile.mounts:
        there, _, inside = entry.partition(":")
        mounts.append(docker.types.Mount(inside, there, type="bind", read_only=True))
    given = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu", "utility"]])] if gpus else None
    return api.create_host_config(
        init=True, auto_remove=True, network_mode="none", read_only=True, cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        pids_limit=64, mem_limit=MEMORY, mounts=mounts, tmpfs={"/tmp": "rw,nosuid,nodev,size=16m,mode=1777"},
        device_requests=given, log_config=docker.types.LogConfig(
            type="json-file", config={"max-size": "1m", "max-file": "2"}
        ),
    )  # fmt: skip


def _remove(api: docker.APIClient, name: str) -> None:
    with contextlib.suppress(NotFound):
        api.remove_container(name, force=True, v=True)
