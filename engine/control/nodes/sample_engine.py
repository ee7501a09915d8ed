"""A link to an engine that is not there: it says of itself what it was told. For tests and demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from docker.errors import ImageNotFound

from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker.labels import PROTOCOL
from engine.control.executors.docker.link import QUICK_S, Answer


class SampleApi:
    """The few questions a doctor asks of an engine. Change its attributes to make it another one."""

    def __init__(self, image: str = "loraforge-worker:1", runtimes: tuple[str, ...] = ("runc",)) -> None:
        self.said_version: dict[str, Any] = {
            "Version": "27.5.1", "ApiVersion": "1.47", "Os": "linux", "Arch": "amd64", "KernelVersion": "6.8.0",
        }  # fmt: skip
        self.said_info: dict[str, Any] = {
            "ID": "sample", "NCPU": 64, "MemTotal": 512 << 30, "OperatingSystem": "Ubuntu 24.04 LTS",
            "DockerRootDir": "/var/lib/docker", "LiveRestoreEnabled": True, "DefaultRuntime": "runc",
            "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"],
            "Runtimes": {name: {} for name in runtimes}, "MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True,
        }  # fmt: skip
        self.images: dict[str, dict[str, Any]] = {
            image: {"Id": "sha256:sample", "Size": 3 << 30, "Config": {"Labels": {PROTOCOL: str(PROTOCOL_VERSION)}}}
        }
        self.boxes: list[dict[str, Any]] = []

    def ping(self) -> bool:
        """It is there."""
        return True

    def version(self) -> dict[str, Any]:
        """As `docker version`."""
        return self.said_version

    def info(self) -> dict[str, Any]:
        """As `docker info`; its clock is right unless it was told a time."""
        return {"SystemTime": datetime.now(UTC).isoformat(), **self.said_info}

    def inspect_image(self, name: str) -> dict[str, Any]:
        """One of its images."""
        if name not in self.images:
            raise ImageNotFound(f"No such image: {name}")
        return self.images[name]

    def containers(self, **_filters: Any) -> list[dict[str, Any]]:
        """All of ours and of other controllers."""
        return self.boxes


class SampleLink:
    """A link whose engine is a `SampleApi`; `error` is what is in its way."""

    def __init__(self, node: str = "sample", api: SampleApi | None = None, error: UserError | None = None) -> None:
        self.node = node
        self.api = api or SampleApi()
        self.error = error
        self.closed = False

    def ask(self, work: Callable[[Any], Answer], timeout: float = QUICK_S) -> Answer:  # noqa: ARG002
        """Answers at once."""
        if self.closed:
            raise Unreachable("node.link_closed", node=self.node)
        if self.error is not None:
            raise self.error
        return work(self.api)

    def stream(self, work: Callable[[Any], Answer]) -> Answer:
        """The same."""
        return self.ask(work)

    def forget(self) -> None:
        """It holds nothing."""

    def close(self) -> None:
        """No more answers."""
        self.closed = True
