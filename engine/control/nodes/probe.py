"""A throwaway container, really started: creating one proves nothing. It says what a worker would see there."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Protocol

import docker
from docker.errors import APIError, NotFound
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.contract.errors import UserError
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker import names
from engine.control.executors.docker.link import Link

START_S = 120.0
"""A first start may unpack much, and NVIDIA's runtime wakes sleeping GPUs."""
LONGEST = 200_000
USER = "10001:10001"
SCRIPT = r"""
import glob, json, os, time
def text(path):
    try:
        return open(path).read().strip()
    except OSError:
        return ""
place = os.statvfs("/job")
found = {
    "time": time.time(), "uid": os.getuid(), "cpus": len(os.sched_getaffinity(0)),
    "disk_total": place.f_frsize * place.f_blocks, "disk_free": place.f_frsize * place.f_bavail,
    "uid_map": text("/proc/self/uid_map").split()[:3], "driver_file": text("/proc/driver/nvidia/version")[:200],
    "pci": [os.path.basename(os.path.dirname(p)) for p in sorted(glob.glob("/sys/bus/pci/devices/*/vendor"))
            if text(p) == "0x10de" and text(os.path.join(os.path.dirname(p), "class")).startswith("0x03")],
}
for line in text("/proc/self/status").splitlines():
    if line.startswith("CapEff:"):
        found["capabilities"] = int(line.split()[1], 16)
try:
    with open("/job/.probe", "w") as file:
        file.write("x")
    found["writes"] = True
except OSError as error:
    found["writes"] = False
def gpus(nvml):
    for index in range(nvml.nvmlDeviceGetCount()):
        one = nvml.nvmlDeviceGetHandleByIndex(index)
        gpu = {"index": str(index), "name": str(nvml.nvmlDeviceGetName(one)), "uuid": str(nvml.nvmlDeviceGetUUID(one)),
               "memory": nvml.nvmlDeviceGetMemoryInfo(one).total, "ecc": None, "uncorrected": None}
        try:
            gpu["ecc"] = bool(nvml.nvmlDeviceGetEccMode(one)[0])
            gpu["uncorrected"] = nvml.nvmlDeviceGetTotalEccErrors(one, 1, 0)
        except nvml.NVMLError:
            pass
        yield gpu
try:
    import pynvml
    pynvml.nvmlInit()
    found["driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    found["gpus"] = list(gpus(pynvml))
except Exception as error:
    found["nvml_error"] = str(error) or type(error).__name__
print(json.dumps(found))
"""


class SeenGpu(BaseModel):
    """A GPU as a container sees it."""

    model_config = ConfigDict(extra="ignore")
    index: str
    name: str = ""
    uuid: str = ""
    memory: int = 0
    ecc: bool | None = None
    uncorrected: int | None = None
    """Memory errors since the driver was loaded that could not be mended."""


class Report(BaseModel):
    """What was seen from inside."""

    model_config = ConfigDict(extra="ignore")
    time: float
    uid: int = -1
    cpus: int = 0
    disk_total: int = 0
    disk_free: int = 0
    uid_map: list[str] = []
    capabilities: int = 0
    writes: bool = False
    """Whether it could write into its volume."""
    pci: list[str] = []
    """NVIDIA's devices of the computer, also those no container is given."""
    driver_file: str = ""
    driver: str = ""
    gpus: list[SeenGpu] = []
    nvml_error: str = ""


class Probe(Protocol):
    """Somebody who looks at a node from inside a container."""

    def look(self, gpus: bool) -> Report:
        """Start one and let it look around; `gpus`: all of them are given to it. Raises why it did not start."""


class ContainerProbe:
    """With the worker image, as a worker would be started."""

    def __init__(self, link: Link, profile: NodeProfile, image: str, controller: str) -> None:
        self._link = link
        self._profile = profile
        self._image = image
        self._controller = controller

    def look(self, gpus: bool) -> Report:
        """Start, wait, read, remove."""
        command = ["python", "-c", SCRIPT]
        with throwaway(self._link, self._profile, self._image, self._controller, command, gpus) as box:
            output, code = self._link.ask(lambda api: _run(api, box), START_S)
        return read_report(self._profile.name, output, code)


def read_report(node: str, output: str, code: int) -> Report:
    """What the script printed."""
    lines = output.strip().splitlines()
    try:
        return Report.model_validate_json(lines[-1])
    except (IndexError, ValidationError, ValueError):
        detail = " ".join((lines or ["It said nothing."])[-1].split())[:300]
        raise UserError("node.probe_failed", node=node, code=code, detail=detail) from None


@contextlib.contextmanager
def throwaway(
    link: Link, profile: NodeProfile, image: str, controller: str, command: list[str], gpus: bool = False
) -> Iterator[str]:
    """A container that is not started yet, with a volume at /job; both are gone afterwards."""
    name = f"forge-probe-{secrets.token_hex(6)}"
    labels = {
        names.MANAGED: "1", names.CONTROLLER: controller, names.KIND: "probe", names.SESSION: names.PROCESS,
    }  # fmt: skip

    def make(api: docker.APIClient) -> str:
        api.create_volume(name, labels=labels)
        options = _options(api, profile, name, gpus)
        made = api.create_container(
            image, command, name=name, labels=labels, user=USER, entrypoint=[], working_dir="/job",
            environment={"HOME": "/tmp", **({} if gpus else {"NVIDIA_VISIBLE_DEVICES": "void"})}, host_config=options,
        )  # fmt: skip
        return str(made["Id"])

    try:
        yield link.ask(make, START_S)
    finally:
        with contextlib.suppress(UserError, NotFound):
            link.ask(lambda api: _remove(api, name), START_S)


def _options(api: docker.APIClient, profile: NodeProfile, volume: str, gpus: bool) -> Any:
    kind = docker.types.Mount
    mounts = [kind("/job", volume, type="volume")]
    for entry in profile.mounts:
        there, _, inside = entry.partition(":")
        mounts.append(kind(inside, there, type="bind", read_only=True))
    given = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])] if gpus else None
    return api.create_host_config(
        init=True, network_mode="none", read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges:true"],
        pids_limit=256, mounts=mounts, tmpfs={"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"}, device_requests=given,
    )  # fmt: skip


def _run(api: docker.APIClient, box: str) -> tuple[str, int]:
    api.start(box)
    code = int(api.wait(box)["StatusCode"])
    return api.logs(box, stdout=True, stderr=True, tail=200)[-LONGEST:].decode(errors="replace"), code


def _remove(api: docker.APIClient, name: str) -> None:
    with contextlib.suppress(NotFound):
        api.remove_container(name, force=True, v=True)
    with contextlib.suppress(NotFound, APIError):
        api.remove_volume(name, force=True)
