"""What the readings of a node come to: one figure for each thing a card shows, over all of its GPUs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from engine.contract.nodes import NodeView

Metric = Literal["temperature", "utilisation", "memory"]
METRICS: tuple[Metric, ...] = ("temperature", "utilisation", "memory")
PARTS: dict[Metric, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "utilisation": ("utilisation",),
    "memory": ("memory_used", "memory_total"),
}
PLAIN: dict[Metric, tuple[str, ...]] = {
    "temperature": ("cpu.temperature",),
    "utilisation": ("cpu.utilisation",),
    "memory": ("ram.used", "ram.total"),
}
"""The same of a computer without GPUs."""
_GPU = re.compile(r"gpu\d+")


@dataclass(frozen=True)
class Figures:
    """A reading of a node; what it does not say is None."""

    utilisation: float | None = None
    memory: float | None = None
    memory_total: float | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None
    disk: float | None = None
    """Share of one that is taken."""


def gpus_in(values: Iterable[str]) -> list[str]:
    """`gpu0`, `gpu1` … of a reading, in order."""
    found = {key.partition(".")[0] for key in values}
    return sorted((key for key in found if _GPU.fullmatch(key)), key=lambda key: int(key[3:]))


def gpu_count(node: NodeView) -> int:
    """How many GPUs a node has."""
    return len(node.facts.gpus) or len(gpus_in(node.values))


def figures_of(values: Mapping[str, float]) -> Figures:
    """Mean utilisation, sums of memory and power, the hottest GPU; of the processor where there is no GPU."""
    gpus = gpus_in(values)
    total = values.get("disk.total")
    disk = values["disk.used"] / total if total and "disk.used" in values else None
    if not gpus:
        return Figures(
            values.get("cpu.utilisation"), values.get("ram.used"), values.get("ram.total"),
            values.get("cpu.temperature"), values.get("cpu.power"), values.get("cpu.power_limit"), disk,
        )  # fmt: skip

    def of(name: str, gather: Callable[[list[float]], float]) -> float | None:
        found = [values[f"{gpu}.{name}"] for gpu in gpus if f"{gpu}.{name}" in values]
        return gather(found) if found else None

    return Figures(
        of("utilisation", _mean), of("memory_used", sum), of("memory_total", sum), of("temperature", max),
        of("power", sum), of("power_limit", sum), disk,
    )  # fmt: skip


def value_of(metric: Metric, values: Mapping[str, float]) -> float | None:
    """One metric of a reading: °C, per cent, per cent of the memory."""
    found = figures_of(values)
    if metric == "memory":
        return 100 * found.memory / found.memory_total if found.memory is not None and found.memory_total else None
    return found.temperature if metric == "temperature" else found.utilisation


def keys_of(metric: Metric, values: Iterable[str]) -> list[str]:
    """The names of values that a metric of a node is made of."""
    names = list(values)
    gpus = gpus_in(names)
    wanted = [f"{gpu}.{part}" for gpu in gpus for part in PARTS[metric]] if gpus else list(PLAIN[metric])
    return [name for name in wanted if name in names]


def line_of(metric: Metric, series: Mapping[str, list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """A metric over time, of readings as they were kept."""
    moments: dict[float, dict[str, float]] = {}
    for name, points in series.items():
        for t, value in points:
            moments.setdefault(t, {})[name] = value
    found = [(t, value_of(metric, values)) for t, values in sorted(moments.items())]
    return [(t, value) for t, value in found if value is not None]


def device_lines(
    metric: Metric, series: Mapping[str, list[tuple[float, float]]]
) -> dict[str, list[tuple[float, float]]]:
    """The same for each GPU; `cpu` where there is none."""
    gpus = gpus_in(series)
    if not gpus:
        line = line_of(metric, series)
        return {"cpu": line} if line else {}
    return {
        gpu: line_of(metric, {name: points for name, points in series.items() if name.startswith(f"{gpu}.")})
        for gpu in gpus
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
