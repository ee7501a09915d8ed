"""What a doctor looks at where workers are processes of this computer."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from engine.contract.environments import Holds
from engine.contract.errors import UserError
from engine.contract.nodes import CheckName, GpuFacts, NodeFacts
from engine.control.executors.installer import clean_environment
from engine.control.executors.packages import LOOK
from engine.control.nodes.check_gpus import judge_driver, judge_gpus
from engine.control.nodes.findings import Finding, bad, ok, skipped, warning
from engine.control.nodes.probe import Report, SeenGpu

GB = 1_000_000_000
LEAST, COMFORTABLE = 2 * GB, 10 * GB
PYTHON_S = 120.0
BUILT = 1_735_689_600.0
"""The beginning of 2025: no clock that is right shows less."""


class Here:
    """This computer, as one examination sees it."""

    def __init__(self, node: str, home: Path, python: str, look: Callable[[], Report] | None = None) -> None:
        """`python`: the interpreter workers are started with, empty where there is none; `look`: who finds GPUs."""
        self.node = node
        self.home = home
        self.python = python
        self.facts = NodeFacts(
            system=f"{platform.system()} · {platform.release()} · {platform.machine()}",
            cpus=psutil.cpu_count() or 0, memory=psutil.virtual_memory().total,
        )  # fmt: skip
        self._look = look or look_for_gpus

    @cached_property
    def seen(self) -> Report:
        """Its GPUs."""
        return self._look()


def reach(here: Here) -> Finding:
    """It is where the controller runs."""
    return ok(system=here.facts.system)


def disk(here: Here) -> Finding:
    """Room where all data lies."""
    usage = shutil.disk_usage(here.home)
    facts = {"free": usage.free, "total": usage.total, "folder": str(here.home)}
    free = f"{usage.free / GB:.1f} GB"
    if usage.free < LEAST:
        return bad(UserError("node.disk_very_low", node=here.node, free=free, folder=str(here.home)), **facts)
    if usage.free < COMFORTABLE:
        return warning(UserError("node.disk_low", node=here.node, free=free, folder=str(here.home)), **facts)
    return ok(**facts)


def image(here: Here) -> Finding:
    """The worker's environment takes the image's part: it is started and asked."""
    if not here.python:
        return bad(UserError("node.no_python", node=here.node))
    try:
        done = subprocess.run(
            [here.python, "-c", LOOK], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PYTHON_S, env=clean_environment(), check=False,
        )  # fmt: skip
        holds = Holds.model_validate_json((done.stdout.splitlines() or [""])[-1])
    except subprocess.TimeoutExpired:
        detail = f"It did not answer within {PYTHON_S:.0f} s."
        return bad(UserError("worker.check_failed", python=here.python, detail=detail))
    except OSError as error:
        return bad(UserError("worker.check_failed", python=here.python, detail=error.strerror or str(error)))
    except ValidationError:
        detail = (done.stderr.strip().splitlines() or [f"It ended with code {done.returncode}."])[-1][:300]
        return bad(UserError("worker.check_failed", python=here.python, detail=detail))
    facts: dict[str, Any] = {"python": holds.python, "versions": holds.versions, "cuda": holds.cuda, "gpu": holds.gpu}
    if not holds.complete:
        missing = ", ".join(name for name, version in holds.versions.items() if not version)
        return bad(UserError("environment.incomplete", python=here.python, missing=missing), **facts)
    if here.seen.gpus and not holds.gpu:
        return warning(UserError("node.torch_without_gpu", node=here.node, python=here.python), **facts)
    return ok(**facts)


def driver(here: Here) -> Finding:
    """NVIDIA's, if there is one."""
    if not here.seen.driver:
        return skipped(UserError("node.no_gpu", node=here.node))
    return judge_driver(here.node, here.seen.driver)


def gpus(here: Here) -> Finding:
    """Those the driver shows."""
    found = here.seen
    here.facts.gives_gpus = bool(found.gpus)
    here.facts.gpus = [
        GpuFacts(index=gpu.index, name=gpu.name, uuid=gpu.uuid, memory=gpu.memory, ecc=gpu.ecc) for gpu in found.gpus
    ]
    return judge_gpus(here.node, found) if found.gpus else skipped(UserError("node.no_gpu", node=here.node), count=0)


def clock(here: Here) -> Finding:
    """Nobody to compare with; but a clock that was never set is seen."""
    now = time.time()
    return ok(time=now) if now > BUILT else bad(UserError("node.clock_unset", node=here.node), time=now)


def look_for_gpus() -> Report:
    """By NVIDIA's library, in this process."""
    report = Report(time=time.time())
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        report.driver = str(nvml.nvmlSystemGetDriverVersion())
        report.gpus = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except Exception as error:  # noqa: BLE001 - no library, no driver, no permission: no GPU
        report.nvml_error = str(error) or type(error).__name__
    return report


def _gpu(nvml: Any, index: int) -> SeenGpu:
    one = nvml.nvmlDeviceGetHandleByIndex(index)
    found = SeenGpu(index=str(index), name=str(nvml.nvmlDeviceGetName(one)), uuid=str(nvml.nvmlDeviceGetUUID(one)))
    found.memory = int(nvml.nvmlDeviceGetMemoryInfo(one).total)
    try:
        found.ecc = bool(nvml.nvmlDeviceGetEccMode(one)[0])
        found.uncorrected = int(nvml.nvmlDeviceGetTotalEccErrors(one, 1, 0))
    except nvml.NVMLError:  # this GPU has none
        pass
    return found


PROCESS_CHECKS: dict[CheckName, Callable[[Here], Finding]] = {
    "reach": reach,
    "driver": driver,
    "gpus": gpus,
    "disk": disk,
    "clock": clock,
    "image": image,
}
