"""A probe that was never started: it says what nodes with and without GPUs say. For tests and demonstrations."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.control.executors.docker.link import EngineRefused
from engine.control.nodes.probe import Report, SeenGpu

GIB = 1 << 30


def cpu_node(**more: object) -> Report:
    """A computer without a GPU."""
    values = {"uid": 10001, "cpus": 16, "disk_total": 900 * GIB, "disk_free": 500 * GIB, "writes": True, **more}
    return Report.model_validate({"time": time.time(), "nvml_error": "NVML Shared Library Not Found", **values})


def gpu_node(
    count: int = 4, name: str = "NVIDIA A100-SXM4-80GB", uncorrected: Sequence[int] = (), lost: int = 0, **more: object
) -> Report:
    """A computer with GPUs, `lost` of which its driver no longer sees."""
    gpus = [
        SeenGpu(
            index=str(index), name=name, uuid=f"GPU-{index:08d}", memory=80 * GIB, ecc=True,
            uncorrected=uncorrected[index] if index < len(uncorrected) else 0,
        )
        for index in range(count - lost)
    ]  # fmt: skip
    pci = [f"0000:{index:02x}:00.0" for index in range(count)]
    seen = {"gpus": gpus, "pci": pci, "driver": "570.86.15", "nvml_error": "", **more}
    return cpu_node(**seen)


class SampleProbe:
    """Says what it was given: without and with GPUs; an error instead is raised."""

    def __init__(self, plain: Report, with_gpus: Report | EngineRefused | None = None) -> None:
        self._plain = plain
        self._with_gpus = with_gpus
        self.looked: list[bool] = []

    def look(self, gpus: bool) -> Report:
        """What a container would have seen."""
        self.looked.append(gpus)
        if not gpus:
            return self._plain
        if isinstance(self._with_gpus, EngineRefused):
            raise self._with_gpus
        return self._with_gpus or self._plain
