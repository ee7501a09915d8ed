"""Which of the GPUs of a run each of its members sees: its own only, so that no library spreads over the others."""

from __future__ import annotations

import os

from engine.contract.run_spec import AttemptOrder

DEVICES = "CUDA_VISIBLE_DEVICES"


def device_names(count: int) -> list[str]:
    """What the members' GPUs are called in the variable that names them."""
    given = [name for name in os.environ.get(DEVICES, "").split(",") if name]
    return given if len(given) >= count else [str(number) for number in range(count)]


def keep_to_own_gpu(order: AttemptOrder) -> list[str]:
    """Let this process see the first of the run's GPUs only; the names of all. To be called before CUDA is."""
    count = order.spec.compute.gpus or 0
    if count < 2:
        return []
    names = device_names(count)
    os.environ[DEVICES] = names[0]
    return names
