"""A reading of a node, and who takes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """How busy a node is: keys as in a journal's `device` line, and disk.used, disk.total, disk.free."""

    values: dict[str, float]
    names: dict[str, str] = field(default_factory=dict)

    def with_gpus(self, other: Reading) -> Reading:
        """The same computer with the GPUs of another reading."""
        return Reading(without_gpus(self.values) | gpus_of(other.values), without_gpus(self.names) | other.names)


class Sampler(Protocol):
    """Takes readings of one node. Its methods wait: call them on a thread."""

    def read(self, gpus: bool) -> Reading | None:
        """A fresh reading; None while there is none yet. Raises why there can be none. `gpus`: the node gives some."""

    def close(self) -> None:
        """Leave nothing behind on the node."""


def gpus_of(values: dict[str, float]) -> dict[str, float]:
    """The part of a reading that tells of GPUs."""
    return {key: value for key, value in values.items() if key.startswith("gpu")}


def without_gpus(values: dict[str, T]) -> dict[str, T]:
    """The other part."""
    return {key: value for key, value in values.items() if not key.startswith("gpu")}


def gpu_indices(values: dict[str, float]) -> list[str]:
    """Which GPUs a reading tells of."""
    found = {key.partition(".")[0][3:] for key in values if key.startswith("gpu")}
    return sorted((index for index in found if index.isdigit()), key=int)
