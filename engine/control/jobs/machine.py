"""The controller's own computer: its GPUs, and how busy it is."""

from __future__ import annotations

import contextlib
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from engine.contract.nodes import LOCAL, GpuFacts, NodeFacts
from engine.contract.processor import processor_name
from engine.contract.throttling import throttling
from engine.control.nodes.sampler import Reading
from engine.control.nodes.sampler_fake import FakeSampler, fake_gpus


class Machine:
    """Readings in the form of a journal's `device` line. Its methods may wait: call them on a thread."""

    def __init__(self, folder: Path | None = None, fake: FakeSampler | None = None) -> None:
        self._folder = folder
        """Whose disk is looked at."""
        self._fake = fake or fake_gpus(LOCAL)
        self._handles: dict[str, Any] = {}
        self._nvml: Any = None
        psutil.cpu_percent()  # the first reading is the start of the first interval

    def find_gpus(self) -> list[str]:
        """Indices of the NVIDIA GPUs, as CUDA_VISIBLE_DEVICES takes them; empty without a driver."""
        with contextlib.suppress(Exception):  # no library, no driver, no permission: no GPU
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
            count = pynvml.nvmlDeviceGetCount()
            self._handles = {str(index): pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)}
        return list(self._handles)

    def facts(self) -> NodeFacts:
        """What it is; call `find_gpus` first."""
        gpus = []
        for index, handle in self._handles.items():
            with contextlib.suppress(Exception):  # a GPU that does not answer
                memory = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total)
                gpus.append(GpuFacts(index=index, name=str(self._nvml.nvmlDeviceGetName(handle)), memory=memory))
        return NodeFacts(
            system=f"{platform.system()} {platform.release()}", cpus=psutil.cpu_count() or 0,
            memory=int(psutil.virtual_memory().total), gpus=gpus, gives_gpus=bool(gpus),
        )  # fmt: skip

    def read(self) -> tuple[dict[str, float], dict[str, str]]:
        """Values and names of the devices."""
        memory = psutil.virtual_memory()
        values = {
            "cpu.utilisation": psutil.cpu_percent(),
            "ram.used": float(memory.total - memory.available),
            "ram.total": float(memory.total),
        }
        names = {"cpu": processor_name()}
        for index, handle in self._handles.items():
            with contextlib.suppress(Exception):  # a reading this GPU does not give
                self._read_gpu(f"gpu{index}", handle, values, names)
        with contextlib.suppress(OSError):
            if self._folder is not None:
                usage = shutil.disk_usage(self._folder)
                values |= {"disk.used": float(usage.used), "disk.total": float(usage.total)}
                values["disk.free"] = float(usage.free)
        if self._fake is not None:
            found = Reading(values, names).with_gpus(self._fake.read())
            return found.values, found.names
        return values, names

    def _read_gpu(self, key: str, handle: Any, values: dict[str, float], names: dict[str, str]) -> None:
        nvml = self._nvml
        names[key] = str(nvml.nvmlDeviceGetName(handle))
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        values[f"{key}.memory_used"], values[f"{key}.memory_total"] = float(memory.used), float(memory.total)
        values[f"{key}.utilisation"] = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        values[f"{key}.temperature"] = float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        values[f"{key}.power"] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        with contextlib.suppress(Exception):  # some boards and drivers do not say
            values[f"{key}.power_limit"] = nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000
        with contextlib.suppress(Exception):
            bits = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
            values |= {f"{key}.{name}": value for name, value in throttling(bits).items()}
