"""Once a second: how busy the machine is, written to the journal by a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import psutil

log = logging.getLogger("worker")
Reading = dict[str, float]


class GpuSampler(Protocol):
    """Reads the GPUs a run uses."""

    names: dict[str, str]

    def read(self) -> Reading:
        """Utilisation, memory, temperature and power, keyed `gpu0.utilisation` …"""


class NoGpu:
    """For a machine without a GPU, or a run that uses none."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def read(self) -> Reading:
        """Nothing."""
        return {}


class FakeGpu:
    """A GPU made of numbers: ships so that panels and tests can be tried without one."""

    def __init__(self, readings: Sequence[Reading], name: str = "Fake GPU") -> None:
        self.names = {"gpu0": name}
        self._readings = list(readings)
        self._next = 0

    def read(self) -> Reading:
        """The next reading, round and round."""
        reading = self._readings[self._next % len(self._readings)]
        self._next += 1
        return {f"gpu0.{key}": value for key, value in reading.items()}


class NvidiaSampler:
    """Reads NVIDIA GPUs through NVML; `devices` maps our numbering to PCI bus ids or indices."""

    def __init__(self, devices: Sequence[int | str]) -> None:
        import pynvml

        self._nvml = pynvml
        pynvml.nvmlInit()
        self._handles = [self._handle(device) for device in devices]
        self.names = {f"gpu{n}": _text(pynvml.nvmlDeviceGetName(handle)) for n, handle in enumerate(self._handles)}

    def _handle(self, device: int | str) -> Any:
        if isinstance(device, int):
            return self._nvml.nvmlDeviceGetHandleByIndex(device)
        if device.startswith(("GPU-", "MIG-")):
            return self._nvml.nvmlDeviceGetHandleByUUID(device)
        return self._nvml.nvmlDeviceGetHandleByPciBusId(device)

    def read(self) -> Reading:
        """One reading; what a GPU does not tell is left out."""
        nvml, reading = self._nvml, {}
        for number, handle in enumerate(self._handles):
            questions: dict[str, Callable[[Any], float]] = {
                "utilisation": lambda h: nvml.nvmlDeviceGetUtilizationRates(h).gpu,
                "memory_used": lambda h: nvml.nvmlDeviceGetMemoryInfo(h).used,
                "memory_total": lambda h: nvml.nvmlDeviceGetMemoryInfo(h).total,
                "temperature": lambda h: nvml.nvmlDeviceGetTemperature(h, nvml.NVML_TEMPERATURE_GPU),
                "power": lambda h: nvml.nvmlDeviceGetPowerUsage(h) / 1000,
                "power_limit": lambda h: nvml.nvmlDeviceGetEnforcedPowerLimit(h) / 1000,
            }
            for key, ask in questions.items():
                try:
                    reading[f"gpu{number}.{key}"] = float(ask(handle))
                except nvml.NVMLError:
                    continue
        return reading


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class MachineSampler:
    """Reads processor and memory, of the machine and of this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.others: list[psutil.Process] = []
        self._process.cpu_percent(None)
        psutil.cpu_percent(None)

    def read(self) -> Reading:
        """Utilisation in %, memory in bytes; the first reading after a start covers the time since then."""
        memory, everyone = psutil.virtual_memory(), [self._process, *self.others]
        return {
            "cpu.utilisation": psutil.cpu_percent(None),
            "cpu.process": sum(_of_process(one, lambda p: float(p.cpu_percent(None))) for one in everyone),
            "ram.used": float(memory.total - memory.available),
            "ram.total": float(memory.total),
            "ram.process": sum(_of_process(one, lambda p: float(p.memory_info().rss)) for one in everyone),
        }


def _of_process(process: psutil.Process, ask: Callable[[psutil.Process], float]) -> float:
    """A reading of a process; nothing of one that has gone."""
    try:
        return ask(process)
    except psutil.Error:
        return 0.0


class Telemetry:
    """Machine and GPUs in one reading; GPUs join once it is known which the run uses."""

    def __init__(self, tell: Callable[[Reading, dict[str, str]], None], processor: str) -> None:
        self._tell = tell
        self._machine = MachineSampler()
        self._gpus: GpuSampler = NoGpu()
        self._names = {"cpu": processor}

    def watch_gpus(self, sampler: GpuSampler) -> None:
        """Read these GPUs from now on."""
        self._names = {**self._names, **sampler.names}
        self._gpus = sampler

    def watch_processes(self, others: Sequence[int]) -> None:
        """Count these processes to this one."""
        with contextlib.suppress(psutil.Error):
            self._machine.others = [psutil.Process(pid) for pid in others]

    def tick(self) -> None:
        """Take a reading and tell it; names go with the first reading that has them."""
        reading = {**self._machine.read(), **self._gpus.read()}
        names, self._names = self._names, {}
        self._tell(reading, names)


class Ticker:
    """A thread that does a few cheap things each second until it is stopped."""

    def __init__(self, actions: Sequence[Callable[[], None]], interval: float = 1.0) -> None:
        self.watch = list(actions)
        """May grow and shrink while the thread runs."""
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._done.wait(self._interval):
            try:
                for action in tuple(self.watch):
                    action()
            except Exception as error:  # noqa: BLE001 - the border of a thread: kept for the session to raise
                self.failure = error
                log.error("Telemetry stopped: %s", error)
                return


def gpu_sampler(devices: Sequence[int | str]) -> GpuSampler:
    """The sampler for these devices; none if NVML is missing."""
    if not devices:
        return NoGpu()
    try:
        return NvidiaSampler(devices)
    except Exception as error:  # noqa: BLE001 - a driver can fail in many ways, and readings are a comfort only
        log.warning("GPU readings are not available: %s", error)
        return NoGpu()
